import { Reflector } from '@nestjs/core';
import { SetMetadata } from '@nestjs/common';
import type { InstanceQueue } from '../client/instance-queue';
import type { ConsumeOptions } from '../consumer/consume-options';
import { OptionsError } from '../errors';
import type { HandleOptions } from '../operators/handle-options';
import type { RetryOptions } from '../retry/retry';

/** What a method consumes, and over which InstanceQueue. */
export interface SubscribeOptions<T = unknown> extends ConsumeOptions<T> {
  /** The name of the InstanceQueue. @default the one without a name */
  readonly connection?: string;
}

/** How a method handles messages: as `handle` does, or with `retry`. */
export interface SubscribeHandling<T = unknown> extends HandleOptions<T> {
  /** Failed messages wait at the broker and come back, as with `queue.retry()`. Takes the place of `onError`. */
  readonly retry?: RetryOptions;
}

/** What a decorator has said of a method. */
export interface MethodSubscription {
  readonly kind: 'subscribe' | 'respond';
  readonly options: SubscribeOptions;
  readonly handling: SubscribeHandling;
}

/** What `handle` gets: `retry` is a policy of the InstanceQueue. @throws OptionsError if both are given */
export function handlingFor(
  instanceQueue: InstanceQueue,
  { retry, ...handling }: SubscribeHandling,
  label: string,
): HandleOptions<unknown> {
  if (retry === undefined) return handling;
  if (handling.onError !== undefined)
    throw new OptionsError('retry', `\`${label}\` has both \`retry\` and \`onError\`. Give one of them.`);
  return { ...handling, onError: instanceQueue.retry(retry) };
}

const SUBSCRIPTIONS = 'instance-queue:subscriptions';
const reflector = new Reflector();

/** What the decorators of a method have said, the lowest first. */
export const subscriptionsOf = (method: (...args: never) => unknown): readonly MethodSubscription[] =>
  reflector.get<readonly MethodSubscription[] | undefined>(SUBSCRIPTIONS, method) ?? [];

const subscribed =
  (subscription: MethodSubscription): MethodDecorator =>
  (target, key, descriptor) => {
    const method: unknown = descriptor.value;
    if (typeof method !== 'function')
      throw new TypeError(`@Subscribe and @Respond are for methods, not \`${String(key)}\`.`);
    const present = subscriptionsOf(method as (...args: never) => unknown);
    SetMetadata(SUBSCRIPTIONS, [...present, subscription])(target, key, descriptor);
  };

/**
 * The method works on each message of a queue, from the start of the application to its shutdown. It is called with the
 * message and an `InstanceQueueContext`, or with what `@Payload()` (the body) and `@Ctx()` of `@nestjs/microservices` ask
 * for. What it returns settles the delivery, as with `handle`: success acks it, a failure is judged by `onError`.
 *
 * Guards, pipes, interceptors and exception filters apply, with an `ArgumentsHost` of the type `rpc`. A filter that returns
 * a value, or an Observable or Promise that succeeds, has dealt with the failure, and the delivery is acked; what a filter
 * throws, or an Observable of it errors with, goes on to `onError`, and so does the exception if the filter returns nothing.
 *
 * @example
 * class OrdersService {
 *   @Subscribe<Order>({ queue: 'orders' }, { concurrency: 10, retry: { attempts: 5, delay: 1000 } })
 *   async ship({ body }: Message<Order>): Promise<void> {
 *     await this.shipments.create(body);
 *   }
 * }
 */
export const Subscribe = <T = unknown>(
  options: SubscribeOptions<T>,
  handling: SubscribeHandling<T> = {},
): MethodDecorator => subscribed({ kind: 'subscribe', options, handling } as MethodSubscription);

/**
 * The method answers each request of a queue: what it returns is the reply, as with `InstanceQueue.respond`. Arguments,
 * enhancers and filters are those of `@Subscribe`; what a filter returns is the reply.
 *
 * @example
 * class PricesService {
 *   @Respond<{ article: string }>({ queue: 'prices' })
 *   price({ body }: Message<{ article: string }>): number {
 *     return this.prices.of(body.article);
 *   }
 * }
 */
export const Respond = <Req = unknown>(
  options: SubscribeOptions<Req>,
  handling: SubscribeHandling<Req> = {},
): MethodDecorator => subscribed({ kind: 'respond', options, handling } as MethodSubscription);
