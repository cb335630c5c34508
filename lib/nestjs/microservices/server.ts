import type {
  CustomTransportStrategy,
  Deserializer,
  IncomingRequest,
  OutgoingResponse,
  Serializer,
} from '@nestjs/microservices';
import { filter, firstValueFrom, ignoreElements, isObservable, lastValueFrom, Subject } from 'rxjs';
import type { EventEmitter } from 'node:events';
import type { InstanceQueue } from '../../client/instance-queue';
import type { Message } from '../../consumer/delivery';
import { isError, sentenceOf } from '../../errors';
import { namedSettlement, type ErrorPolicy } from '../../operators/error-policy';
import { isObject } from '../../options';
import { InstanceQueueContext } from '../context';
import { handlingFor, type SubscribeHandling } from '../subscriptions';
import { packets } from './packets';
import { Server } from './peer';
import {
  nameOfQueue,
  transported,
  type TransportEvents,
  type TransportOptions,
  type Transported,
} from './transport-options';

/** What a server consumes, and how. */
export type InstanceQueueServerOptions = TransportOptions & {
  /** How many messages at once, for how long, and what becomes of an event whose handler failed. */
  readonly handling?: SubscribeHandling;
  readonly serializer?: Serializer;
  readonly deserializer?: Deserializer;
};

/** What Nest's own transports reply. */
const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

/** An event that no handler of this server is for. */
class UnknownPattern extends Error {}

/**
 * A transport strategy for the `@MessagePattern` and `@EventPattern` handlers of a Nest microservice. Its messages are those
 * of Nest's own RabbitMQ transport: a `ClientProxy` of `Transport.RMQ` can send to it, so that each side can be moved by
 * itself.
 *
 * A request is acked when its reply is confirmed; it gets one reply, the last value of its handler or its error. An event
 * is acked when its handler succeeded; a failure is judged by `handling`, as with `handle`. An event without a handler is
 * rejected.
 *
 * @example
 * const app = await NestFactory.createMicroservice(AppModule, {
 *   strategy: new InstanceQueueServer({ url: 'amqp://localhost', queue: 'prices' }),
 * });
 */
export class InstanceQueueServer
  extends Server<TransportEvents, 'connected' | 'disconnected'>
  implements CustomTransportStrategy
{
  override readonly transportId = Symbol('instance-queue');
  readonly #transported: Transported;
  readonly #queue: InstanceQueueServerOptions['queue'];
  readonly #handling: SubscribeHandling;
  readonly #ending$ = new Subject<void>();
  #running: Promise<void> | undefined;

  /** @throws OptionsError if an option cannot be right */
  constructor({ serializer, deserializer, handling = {}, ...options }: InstanceQueueServerOptions) {
    super();
    this.#transported = transported(options);
    this.#queue = options.queue;
    this.#handling = handling;
    this.initializeSerializer({ ...(serializer && { serializer }) });
    this.initializeDeserializer({ ...(deserializer && { deserializer }) });
    this.unwrapped.state$.subscribe(({ consumer }) => {
      this._status$.next(consumer.status === 'connected' ? 'connected' : 'disconnected');
    });
  }

  /** Consumes. Calls back when it is attached, or with the error if the broker refuses it for good. */
  listen(callback: (error?: unknown) => void): void {
    const attached$ = this.unwrapped.health$.pipe(
      filter(({ consumers }) =>
        consumers.some(({ queueName, status }) => queueName === nameOfQueue(this.#queue) && status === 'attached'),
      ),
    );
    const running = this.#consume();
    const ended = running.then(() => Promise.reject(new Error('The server was closed before it was attached.')));
    Promise.race([firstValueFrom(attached$), ended]).then(
      () => {
        callback();
      },
      (error: unknown) => {
        callback(error);
      },
    );
    this.#running = running.catch((error: unknown) => {
      this.handleError(whyOf(error));
    });
  }

  /** Consumes no more; resolves when what was delivered is settled, and its own InstanceQueue is closed. */
  async close(): Promise<void> {
    this.#ending$.next();
    await this.#running;
    if (this.#transported.owned) await this.unwrapped.close();
  }

  /** Listens to an event of the InstanceQueue. */
  override on<EventKey extends keyof TransportEvents>(event: EventKey, callback: TransportEvents[EventKey]): void {
    const emitter: EventEmitter = this.unwrapped;
    emitter.on(event, callback);
  }

  /** The InstanceQueue. */
  override unwrap<T = InstanceQueue>(): T {
    return this.unwrapped as T;
  }

  /** The InstanceQueue. */
  get unwrapped(): InstanceQueue {
    return this.#transported.instanceQueue;
  }

  #consume(): Promise<void> {
    const handling = handlingFor(this.unwrapped, this.#handling, 'InstanceQueueServer');
    const options = { queue: this.#queue, codec: packets, until: this.#ending$ };
    const handled$ = this.unwrapped.respond(options, (message, { signal }) => this.#work(message, signal), {
      ...handling,
      onError: rejectingUnknown(handling.onError ?? 'requeue-once'),
    });
    return lastValueFrom(handled$.pipe(ignoreElements()), { defaultValue: undefined });
  }

  async #work(message: Message<unknown>, signal: AbortSignal): Promise<Buffer | undefined> {
    const packet = (await this.deserializer.deserialize(message.body, message.properties)) as Partial<IncomingRequest>;
    const pattern = this.getPatternAsString(packet.pattern);
    const context = new InstanceQueueContext(message, signal, pattern);
    const handler = this.getHandlerByPattern(pattern);
    if (packet.id === undefined) {
      if (!handler) throw new UnknownPattern(`No handler is for events of the pattern ${pattern}.`);
      try {
        await this.#processed(context, () => handler(packet.data, context));
      } catch (error) {
        // All events of a queue fail in the same place: what is logged of a delivery does not tell them apart.
        this.logger.warn(`An event of the pattern ${pattern} failed: ${whyOf(error)}`);
        throw error;
      }
      return undefined;
    }
    const { id } = packet;
    if (!handler) return this.#reply({ id, isDisposed: true, err: NO_HANDLER, status: 'error' });
    try {
      const response = await this.#processed(context, () => handler(packet.data, context));
      return await this.#reply({ id, isDisposed: true, response });
    } catch (error) {
      return this.#reply({ id, isDisposed: true, err: isError(error) ? error.message : error });
    }
  }

  /** The last value of a handler, between the hooks that Nest has for its tools. */
  #processed(context: InstanceQueueContext, handle: () => Promise<unknown>): Promise<unknown> {
    const work = async (): Promise<unknown> => {
      try {
        const result = await handle();
        return isObservable(result) ? await lastValueFrom(result, { defaultValue: undefined }) : result;
      } finally {
        this.#end(context);
      }
    };
    return new Promise((resolve, reject) => {
      // Nest declares that a hook takes any context, where it is set.
      const start = this.onProcessingStartHook as (id: symbol, context: unknown, done: () => Promise<void>) => void;
      start(this.transportId, context, () => work().then(resolve, reject));
    });
  }

  #end(context: InstanceQueueContext): void {
    const end: unknown = this.onProcessingEndHook;
    // It is not there until it is set.
    if (typeof end === 'function') Reflect.apply(end, undefined, [this.transportId, context]);
  }

  async #reply(packet: OutgoingResponse): Promise<Buffer> {
    return packets.encode(await this.serializer.serialize(packet));
  }
}

/** What Nest's exception filter makes of an exception is a plain object. */
const whyOf = (error: unknown): string =>
  isObject(error) && typeof error['message'] === 'string' ? error['message'] : sentenceOf(error);

/** The policy of the caller, except that an event without a handler is rejected: it would find none the next time. */
function rejectingUnknown(policy: ErrorPolicy<unknown>): ErrorPolicy<unknown> {
  if (policy === 'fail') return policy;
  return (error, message) => {
    if (error instanceof UnknownPattern) return 'reject';
    return typeof policy === 'function' ? policy(error, message) : namedSettlement(policy, message);
  };
}
