import {
  Inject,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { DiscoveryModule, DiscoveryService, ExternalContextCreator, MetadataScanner, ModuleRef } from '@nestjs/core';
import { InstanceQueue } from '../client/instance-queue';
import { InstanceQueueHealthIndicator } from './health-indicator';
import { Subscriber } from './subscriber';
import type {
  InstanceQueueFactoryOptions,
  InstanceQueueModuleAsyncOptions,
  InstanceQueueModuleOptions,
  InstanceQueueModuleSettings,
} from './module-options';
import { nestLogger } from './nest-logger';
import { getInstanceQueueToken } from './tokens';

/**
 * Provides an `InstanceQueue`, runs the methods with `@Subscribe` and `@Respond`, and shuts them down with the application:
 * consumers drain first (`onModuleDestroy`), then what was sent is confirmed and the connections close
 * (`onApplicationShutdown`). `app.enableShutdownHooks()` makes signals do the same. Another provider's
 * `onModuleDestroy` may run before that: close what the methods use in `beforeApplicationShutdown` or later.
 *
 * @example
 * class AppModule {}
 * Module({ imports: [InstanceQueueModule.forRoot({ url: 'amqp://localhost' })] })(AppModule);
 */
export class InstanceQueueModule implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #subscriber: Subscriber;

  /** @internal */
  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber;
  }

  /** One InstanceQueue with these options. Errors in them are thrown when the application starts. */
  static forRoot({ name, isGlobal, waitUntilUp, ...options }: InstanceQueueModuleOptions): DynamicModule {
    return dynamicModule({ name, isGlobal, waitUntilUp }, { useFactory: () => queueFrom(name, options) });
  }

  /** One InstanceQueue with the options that a factory returns. */
  static forRootAsync({
    useFactory,
    inject = [],
    imports = [],
    ...settings
  }: InstanceQueueModuleAsyncOptions): DynamicModule {
    const factory = useFactory as (...dependencies: readonly unknown[]) => Promise<InstanceQueueFactoryOptions>;
    const build = async (...dependencies: readonly unknown[]): Promise<InstanceQueue> => {
      return queueFrom(settings.name, await factory(...dependencies));
    };
    return dynamicModule(settings, { useFactory: build, inject }, imports);
  }

  /** Connects, and starts the methods with `@Subscribe` and `@Respond`. */
  onApplicationBootstrap(): Promise<void> {
    return this.#subscriber.start();
  }
  /** Consumes no more. Resolves when what was delivered is settled, within `drainTimeout`. */
  onModuleDestroy(): Promise<void> {
    return this.#subscriber.end();
  }
  /** Closes the InstanceQueue: requests over HTTP have ended by now, and nothing more is sent. */
  onApplicationShutdown(): Promise<void> {
    return this.#subscriber.close();
  }
}
// The decorators of the class, in plain calls: the library compiles without them.
Module({})(InstanceQueueModule);
Inject(Subscriber)(InstanceQueueModule, undefined, 0);

/** What Nest's log shows in brackets. */
const contextOf = (name: string | undefined): string =>
  name === undefined ? 'InstanceQueue' : `InstanceQueue:${name}`;

function queueFrom(
  name: string | undefined,
  { connectionName = name, logger = nestLogger(contextOf(name)), ...options }: InstanceQueueFactoryOptions,
): InstanceQueue {
  return new InstanceQueue({ ...options, logger, ...(connectionName !== undefined && { name: connectionName }) });
}

function dynamicModule(
  { name, isGlobal = true, waitUntilUp = false }: Unset<InstanceQueueModuleSettings>,
  queue: Pick<FactoryProvider<InstanceQueue>, 'useFactory' | 'inject'>,
  imports: DynamicModule['imports'] = [],
): DynamicModule {
  const token = getInstanceQueueToken(name);
  const subscriber: FactoryProvider<Subscriber> = {
    provide: Subscriber,
    useFactory: (
      instanceQueue: InstanceQueue,
      moduleRef: ModuleRef,
      discovery: DiscoveryService,
      scanner: MetadataScanner,
      creator: ExternalContextCreator,
    ) => new Subscriber({ name, waitUntilUp, instanceQueue, moduleRef, discovery, scanner, creator }),
    inject: [token, ModuleRef, DiscoveryService, MetadataScanner, ExternalContextCreator],
  };
  return {
    module: InstanceQueueModule,
    global: isGlobal,
    imports: [DiscoveryModule, ...imports],
    providers: [{ provide: token, ...queue }, subscriber, InstanceQueueHealthIndicator],
    exports: [token, InstanceQueueHealthIndicator],
  };
}

/** Members that may be there as `undefined`. */
type Unset<T> = { readonly [K in keyof T]?: T[K] | undefined };
