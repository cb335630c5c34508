import { Logger } from '@nestjs/common';
import {
  ContextIdFactory,
  type DiscoveryService,
  type ExternalContextCreator,
  type MetadataScanner,
  ModuleRef,
} from '@nestjs/core';
import 'reflect-metadata';
import {
  defaultIfEmpty,
  filter,
  firstValueFrom,
  from,
  ignoreElements,
  isObservable,
  lastValueFrom,
  merge,
  type Observable,
  Subject,
} from 'rxjs';
import type { InstanceQueue } from '../client/instance-queue';
import type { Message } from '../consumer/delivery';
import { OptionsError } from '../errors';
import { handle } from '../operators/handle';
import type { Handled, Worker } from '../operators/handle-options';
import { isObject } from '../options';
import { InstanceQueueContext } from './context';
import { handlingFor, type MethodSubscription, subscriptionsOf } from './subscriptions';
import { getInstanceQueueToken } from './tokens';

/** What a Subscriber works with. */
export interface SubscriberOptions {
  readonly name: string | undefined;
  readonly waitUntilUp: boolean;
  readonly instanceQueue: InstanceQueue;
  readonly moduleRef: ModuleRef;
  readonly discovery: DiscoveryService;
  readonly scanner: MetadataScanner;
  readonly creator: ExternalContextCreator;
}

/** Runs the methods that subscribe to one InstanceQueue. */
export class Subscriber {
  readonly #options: SubscriberOptions;
  readonly #logger: Logger;
  readonly #ending$ = new Subject<void>();
  readonly #running: Promise<void>[] = [];

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#logger = new Logger(options.name === undefined ? 'InstanceQueue' : `InstanceQueue:${options.name}`);
  }

  /** Rejects, with `waitUntilUp`, if the broker refuses something for good. @throws OptionsError */
  async start(): Promise<void> {
    const { discovery, scanner, instanceQueue, waitUntilUp } = this.#options;
    const methods = discover(discovery, scanner);
    for (const method of methods) this.#check(method);
    // All of them before the first one runs: a wrong option in one must not leave the others consuming.
    const pipelines = methods.flatMap((method) =>
      method.subscriptions
        .filter(({ options }) => options.connection === this.#options.name)
        .map((subscription) => ({ method, handled$: this.#pipeline(method, subscription) })),
    );
    const running = pipelines.map(({ method, handled$ }) => this.#run(method, handled$));
    // A service that only publishes is to be ready, too.
    const connected = instanceQueue.connect();
    if (!waitUntilUp) {
      connected.catch((error: unknown) => {
        this.#logger.error('The connections cannot be opened', error);
      });
      return;
    }
    try {
      const up = firstValueFrom(instanceQueue.health$.pipe(filter(({ status }) => status === 'up')));
      await Promise.race([Promise.all([connected, up]), firstRejection(running)]);
    } catch (error) {
      // Nest calls no hooks of an application that did not start.
      await this.end();
      await this.close();
      throw error;
    }
  }

  /** Handlers end while the providers that they use are there. */
  async end(): Promise<void> {
    this.#ending$.next();
    await Promise.all(this.#running);
  }

  async close(): Promise<void> {
    const { unsettled, unconfirmed } = await this.#options.instanceQueue.close();
    if (unsettled + unconfirmed > 0)
      this.#logger.warn(`Closed with ${unsettled} deliveries unsettled and ${unconfirmed} messages unconfirmed`);
  }

  #run({ label }: FoundMethod, handled$: Observable<Handled<unknown, unknown>>): Promise<void> {
    const pipeline = lastValueFrom(handled$.pipe(ignoreElements()), { defaultValue: undefined });
    this.#running.push(
      pipeline.catch((error: unknown) => {
        this.#logger.error(`${label} consumes no more`, error);
      }),
    );
    return pipeline;
  }

  #pipeline(
    method: FoundMethod,
    { kind, options, handling }: MethodSubscription,
  ): Observable<Handled<unknown, unknown>> {
    const { instanceQueue, creator } = this.#options;
    const { connection: _, until, ...consuming } = options;
    const ended$ = until === undefined ? this.#ending$ : merge(from(until), this.#ending$);
    const worker = workerOf(method, creator);
    const resolved = handlingFor(instanceQueue, handling, method.label);
    return kind === 'respond'
      ? instanceQueue.respond({ ...consuming, until: ended$ }, worker, resolved)
      : instanceQueue.consume({ ...consuming, until: ended$ }).pipe(handle(worker, resolved));
  }

  /** @throws OptionsError, if no module provides the InstanceQueue that a decorator names */
  #check({ label, subscriptions }: FoundMethod): void {
    for (const { options } of subscriptions) {
      const { connection } = options;
      try {
        this.#options.moduleRef.get(getInstanceQueueToken(connection), { strict: false });
      } catch (cause) {
        const [what, how] =
          connection === undefined
            ? ['an InstanceQueue without a name', '']
            : [`the InstanceQueue \`${connection}\``, `name: '${connection}', `];
        throw new OptionsError(
          'connection',
          `\`${label}\` subscribes to ${what}, which no module provides. Import InstanceQueueModule.forRoot({ ${how}… }).`,
          { cause },
        );
      }
    }
  }
}

const firstRejection = (promises: readonly Promise<unknown>[]): Promise<never> =>
  new Promise((_, reject) => {
    for (const promise of promises) promise.catch(reject);
  });

/** The metadata of `@Payload()`, `@Ctx()` and other decorators of parameters. */
const PARAMETERS = '__routeArguments__';
/** What the decorators of `@nestjs/microservices` ask for, as its RpcParamtype has it. */
const PAYLOAD = 3;
const CONTEXT = 6;
/** Enhancers find a message and a context, as in the handlers of microservices. */
const HOST_TYPE = 'rpc';

/** Values for decorated parameters. */
const parameters = {
  exchangeKeyForValue(type: number, data: unknown, [message, context]: readonly unknown[]): unknown {
    if (type === CONTEXT) return context;
    if (type !== PAYLOAD) return null;
    const { body } = message as Message<unknown>;
    if (typeof data !== 'string' || data === '') return body;
    return isObject(body) ? body[data] : undefined;
  },
};

/** The method as work for `handle`: Nest's enhancers around it, and a fresh instance per message if its class wants one. */
function workerOf(found: FoundMethod, creator: ExternalContextCreator): Worker<unknown, unknown> {
  const { wrapper } = found;
  const call = wrapper.isDependencyTreeStatic()
    ? always(runner(found, creator, wrapper.instance as object))
    : (message: Message<unknown>) => perMessage(found, creator, message);
  return async (message, { signal }) => {
    const run = await call(message);
    const result: unknown = await run(message, new InstanceQueueContext(message, signal));
    // A filter may return an Observable, as those of microservices do.
    return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
  };
}

type Runner = (message: Message<unknown>, context: InstanceQueueContext) => Promise<unknown>;
const always =
  <T>(value: T) =>
  (): T =>
    value;

async function perMessage(
  found: FoundMethod,
  creator: ExternalContextCreator,
  message: Message<unknown>,
): Promise<Runner> {
  const { wrapper } = found;
  const moduleRef = wrapper.host?.providers.get(ModuleRef)?.instance as ModuleRef;
  const contextId = ContextIdFactory.getByRequest(message);
  moduleRef.registerRequestByContextId(message, contextId);
  const instance = await moduleRef.resolve<object>(wrapper.token as string, contextId);
  return runner(found, creator, instance, contextId);
}

function runner(
  { wrapper, name, method }: FoundMethod,
  creator: ExternalContextCreator,
  instance: object,
  contextId?: ReturnType<typeof ContextIdFactory.create>,
): Runner {
  const inquirer = contextId && wrapper.id;
  const everything = { guards: true, interceptors: true, filters: true };
  return creator.create(
    instance,
    withLastValue(method),
    name,
    PARAMETERS,
    parameters,
    contextId,
    inquirer,
    everything,
    HOST_TYPE,
  ) as Runner;
}

/** Nest fails on an Observable without values, which for `handle` is work that returns nothing. */
function withLastValue(method: Method): Method {
  const wrapped = function (this: unknown, ...args: unknown[]): unknown {
    const result = method.apply(this, args);
    return isObservable(result) ? result.pipe(defaultIfEmpty(undefined)) : result;
  };
  // Enhancers are found by the metadata of the method, and so is what they ask a Reflector for.
  for (const key of Reflect.getMetadataKeys(method) as readonly string[])
    Reflect.defineMetadata(key, Reflect.getMetadata(key, method), wrapped);
  Object.defineProperty(wrapped, 'name', { value: method.name });
  return wrapped;
}

/** What Nest keeps of a provider or controller. */
type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];
/** A method of a provider or controller. */
export type Method = (...args: unknown[]) => unknown;

/** A method with decorators, and the provider or controller that it belongs to. */
interface FoundMethod {
  readonly wrapper: Wrapper;
  readonly name: string;
  /** For people: `OrdersService.ship`. */
  readonly label: string;
  readonly method: Method;
  readonly subscriptions: readonly MethodSubscription[];
}

/** Every method of the application with `@Subscribe` or `@Respond`. @throws OptionsError, if its class is transient */
function discover(discovery: DiscoveryService, scanner: MetadataScanner): readonly FoundMethod[] {
  const seen = new Set<unknown>();
  return [...discovery.getProviders(), ...discovery.getControllers()].flatMap((wrapper) => {
    const prototype = prototypeOf(wrapper);
    // A value under two tokens is one and the same object.
    const one: unknown = wrapper.isDependencyTreeStatic() ? wrapper.instance : wrapper;
    if (prototype === undefined || wrapper.isAlias || seen.has(one)) return [];
    seen.add(one);
    return scanner.getAllMethodNames(prototype).flatMap((name) => {
      const method: unknown = Reflect.get(prototype, name);
      if (typeof method !== 'function') return [];
      const subscriptions = subscriptionsOf(method as Method);
      if (subscriptions.length === 0) return [];
      const label = `${String(wrapper.name)}.${name}`;
      if (wrapper.isTransient) throw transient(label);
      return [{ wrapper, name, label, method: method as Method, subscriptions }];
    });
  });
}

const transient = (label: string): OptionsError =>
  new OptionsError(
    'scope',
    `\`${label}\` has @Subscribe or @Respond, but its class is transient, so there is no one instance to call it on. Use the default scope, or Scope.REQUEST for an instance per message.`,
  );

function prototypeOf(wrapper: Wrapper): object | undefined {
  if (wrapper.isDependencyTreeStatic() && !wrapper.isTransient) {
    const instance: unknown = wrapper.instance;
    const prototype: unknown =
      typeof instance === 'object' && instance !== null ? Object.getPrototypeOf(instance) : undefined;
    return isPrototype(prototype) ? prototype : undefined;
  }
  // What is made per request, or per user, has no instance yet; what a factory makes of it is unknown.
  const prototype: unknown = wrapper.isNotMetatype ? undefined : wrapper.metatype?.prototype;
  return isPrototype(prototype) ? prototype : undefined;
}

const isPrototype = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && value !== Object.prototype;
