import 'reflect-metadata';
import { ContextIdFactory, ModuleRef, type ExternalContextCreator } from '@nestjs/core';
import { defaultIfEmpty, isObservable, lastValueFrom } from 'rxjs';
import type { Message } from '../consumer/delivery';
import { isObject } from '../options';
import type { Worker } from '../operators/handle-options';
import { InstanceQueueContext } from './context';
import type { FoundMethod, Method } from './discover';

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
export function workerOf(found: FoundMethod, creator: ExternalContextCreator): Worker<unknown, unknown> {
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
