import type { InjectionToken, ModuleMetadata, OptionalFactoryDependency } from '@nestjs/common';
import type { InstanceQueueOptions } from '../client/instance-queue-options';

/** An `InstanceQueue` of the application. */
export interface InstanceQueueModuleOptions extends Omit<InstanceQueueOptions, 'name'>, InstanceQueueModuleSettings {
  /** The name that the broker shows for the connections. @default the `name`, else 'instance-queue' */
  readonly connectionName?: string;
}

/** What the module has to know before the options are there. */
export interface InstanceQueueModuleSettings {
  /** What `@InjectInstanceQueue(name)` asks for; an application with several needs names for all but one. @default none */
  readonly name?: string;
  /** Can every module inject it without an import? @default true */
  readonly isGlobal?: boolean;
  /**
   * Does the start of the application wait until the health is up: both connections connected, every `@Subscribe` and
   * `@Respond` attached? It fails then if the broker refuses one of these for good. `false`: it starts meanwhile; a refusal
   * is logged, and the health is down. @default false
   */
  readonly waitUntilUp?: boolean;
}

/** An `InstanceQueue` whose options other providers know. */
export interface InstanceQueueModuleAsyncOptions extends InstanceQueueModuleSettings, Pick<ModuleMetadata, 'imports'> {
  /** Returns the options of the InstanceQueue. */
  readonly useFactory: (...dependencies: never[]) => InstanceQueueFactoryOptions | Promise<InstanceQueueFactoryOptions>;
  /** What `useFactory` is called with. @default [] */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
}

/** What a factory decides. */
export type InstanceQueueFactoryOptions = Omit<InstanceQueueModuleOptions, keyof InstanceQueueModuleSettings>;
