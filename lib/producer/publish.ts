/**
 * Producing. This room sends messages with confirms. It imports the transport port, `connection/`, `delay/` and the layers below, and
 * knows neither consumers nor operators.
 *
 * A send: `Producer` → `MessageEncoder`, which checks and encodes it → the outbox of the `Pump` → `RouteDeclarations`, once per channel
 * and route → `OutboundChannel.publish`. The broker's answer: `OutboundChannel.verdicts$` → the `Pump`, which looks it up among the
 * `Unconfirmed` → `Verdicts` → `PendingSend`, which settles the promise.
 */
import { Observable, type OperatorFunction, Subject, type Subscriber, takeUntil } from 'rxjs';
import { Ring } from '../collections/ring';
import { checkOptions, DEFAULTS, expected, integer, type Shape } from '../options';
import type { OutboundMessage, AnyMessage, Checked, ContractMessage } from './outbound-message';
import type { Confirmation } from './pending-send';
import type { Producer } from './producer';
import { SEND, type SendOptions } from './producer-options';

/** Options of each `send` of a stream, and its concurrency. */
export interface PublishOptions extends SendOptions {
  /** The largest number of unsettled messages; further ones of the source wait. @default 1000 */
  readonly concurrency?: number;
}

/** Messages that are pulled one by one, when there is room. */
export type MessageIterable<T> = Iterables<OutboundMessage<T>>;
export type Iterables<M> = Iterable<M> | AsyncIterable<M>;
/** The same for messages of which some or all are addressed to contracts. */
export type CheckedIterable<M> = Iterables<M & Checked<M>>;
/** Sends what the source emits, where some or all messages are addressed to contracts: each is checked against its own. */
export type PublishOperator<T = unknown> = <M extends OutboundMessage<T> | ContractMessage>(
  source: Observable<M & Checked<M>>,
) => Observable<Confirmation>;

const PUBLISH: Shape<PublishOptions> = { ...SEND, concurrency: integer(1, 1_000_000) };

/**
 * Sends what the source emits, in order.
 *
 * An Observable has no back-pressure: messages beyond `concurrency` wait in memory, not encoded. Pass an iterable or async
 * iterable (a generator, a Node.js stream, rows of a query) as the second argument instead: it is asked for the next message when
 * there is room, so that millions of messages need constant memory.
 *
 * Emits: a confirmation per message, as they arrive. Completes: when the source has completed and all messages are confirmed.
 * Errors: with the source, or with the first PublishError. Unsubscribe: takes nothing more from the source; sent messages stay
 * sent.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * orders$.pipe(map((body) => ({ queue: 'orders', body })), publish(producer)).subscribe({ error: console.error });
 */
export function publish<T>(producer: Producer<T>, options?: PublishOptions): PublishOperator<T>;
export function publish<T>(
  producer: Sender<OutboundMessage<T>>,
  options?: PublishOptions,
): OperatorFunction<OutboundMessage<T>, Confirmation>;
export function publish<T>(
  producer: Sender<OutboundMessage<T>>,
  messages: MessageIterable<T>,
  options?: PublishOptions,
): Observable<Confirmation>;
export function publish<K extends string, M extends OutboundMessage | ContractMessage<unknown, K>>(
  producer: Producer,
  messages: CheckedIterable<M>,
  options?: PublishOptions,
): Observable<Confirmation>;
/** @internal */
export function publish<T>(
  producer: Sender<AnyMessage<T>>,
  messages: Iterables<AnyMessage<T>>,
  options?: PublishOptions,
): Observable<Confirmation>;
export function publish<T>(
  producer: Sender<AnyMessage<T>>,
  first: Iterables<AnyMessage<T>> | PublishOptions = {},
  second: PublishOptions = {},
): PublishOperator<T> | OperatorFunction<OutboundMessage<T>, Confirmation> | Observable<Confirmation> {
  const sender: unknown = Reflect.get(Object(producer), 'send');
  if (typeof sender !== 'function') throw expected('producer', 'a producer or an InstanceQueue', producer);
  const iterable = isIterable(first) ? first : undefined;
  const options = isIterable(first) ? second : first;
  checkOptions(options, PUBLISH, { of: 'publish()' });
  const { concurrency = DEFAULTS.maxInFlight, ...send } = options;
  const sends = (subscriber: Subscriber<Confirmation>, settled: () => void): Sends<AnyMessage<T>> =>
    new Sends(producer, send, concurrency, subscriber, settled);
  if (iterable) return new Observable((subscriber) => pull(iterable, subscriber, sends));
  return (source: Observable<AnyMessage<T>>) =>
    new Observable<Confirmation>((subscriber) => {
      push(source, subscriber, sends);
    });
}

type MakeSends<M> = (subscriber: Subscriber<Confirmation>, settled: () => void) => Sends<M>;

/** Distinguishes messages from options: options are not iterable. */
export const isIterable = <M>(value: Iterables<M> | PublishOptions | undefined | null): value is Iterables<M> =>
  typeof value === 'object' && value !== null && (Symbol.iterator in value || Symbol.asyncIterator in value);

/** Queues what the source emits. `mergeMap` is no option: its queue becomes slow to shift when it is long. */
function push<M>(source: Observable<M>, subscriber: Subscriber<Confirmation>, sendsFor: MakeSends<M>): void {
  const waiting = new Ring<M>();
  let completed = false;
  const pump = (): void => {
    // Asks for the length, not for an item: a source may emit anything, and `send` refuses what is no message.
    while (waiting.length > 0 && sends.room) sends.start(waiting.shift() as M);
    if (completed) sends.finish();
  };
  const sends = sendsFor(subscriber, pump);
  // Also during `subscribe`: a source that emits synchronously has no subscription to end yet.
  const stop$ = new Subject<void>();
  subscriber.add(() => {
    stop$.next();
    waiting.clear();
  });
  source.pipe(takeUntil(stop$)).subscribe({
    next: (message) => {
      waiting.push(message);
      pump();
    },
    error: (error: unknown) => {
      subscriber.error(error);
    },
    complete: () => {
      completed = true;
      pump();
    },
  });
}

/** Pulls messages while there is room. Returns a function that stops it. */
function pull<M>(messages: Iterables<M>, subscriber: Subscriber<Confirmation>, sendsFor: MakeSends<M>): () => void {
  const iterator = Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator]();
  let fetching = false;
  let stepping = false;
  let exhausted = false;
  /** Lets the iterator release its resources (a file, a cursor). What becomes of that is ignored, also if it throws at once. */
  const leave = (): void => void (async () => iterator.return?.())().catch(() => undefined);
  const take = ({ done, value }: IteratorResult<M, unknown>): void => {
    if (done === true) {
      exhausted = true;
      sends.finish();
    } else if (!subscriber.closed) sends.start(value);
  };
  const failed = (error: unknown): void => {
    exhausted = true;
    subscriber.error(error);
  };
  const pump = (): void => {
    try {
      while (sends.room && !fetching && !exhausted) {
        stepping = true;
        const fetched = iterator.next();
        stepping = false;
        if (subscriber.closed) leave();
        if (!('then' in fetched)) take(fetched);
        else {
          fetching = true;
          fetched
            .then((result) => {
              fetching = false;
              take(result);
              pump();
            })
            .catch(failed);
        }
      }
    } catch (error) {
      failed(error);
    }
  };
  const sends = sendsFor(subscriber, pump);
  pump();
  return () => {
    // A generator cannot be left while it runs.
    if (!exhausted && !stepping) leave();
  };
}

/** What sends messages of type `M`: a producer, or a stand-in for one. */
export interface Sender<M> {
  send(message: M, options?: SendOptions): Promise<Confirmation>;
}

/** The sends of one stream, with limited concurrency. Emits each confirmation; the first failure ends it. */
export class Sends<M> {
  readonly #producer: Sender<M>;
  readonly #options: SendOptions;
  readonly #most: number;
  readonly #subscriber: Subscriber<Confirmation>;
  /** Called when a send has settled. */
  readonly #settled: () => void;
  #underWay = 0;
  #finished = false;

  constructor(
    producer: Sender<M>,
    options: SendOptions,
    most: number,
    subscriber: Subscriber<Confirmation>,
    settled: () => void,
  ) {
    this.#producer = producer;
    this.#options = options;
    this.#most = most;
    this.#subscriber = subscriber;
    this.#settled = settled;
  }

  /** May another one start? */
  get room(): boolean {
    return this.#underWay < this.#most && !this.#subscriber.closed;
  }

  start(message: M): void {
    this.#underWay++;
    this.#producer.send(message, this.#options).then(
      (confirmation) => {
        this.#underWay--;
        this.#subscriber.next(confirmation);
        this.#settled();
        this.#completeIfDone();
      },
      (error: unknown) => {
        this.#subscriber.error(error);
      },
    );
  }

  /** No further message will follow. */
  finish(): void {
    this.#finished = true;
    this.#completeIfDone();
  }

  #completeIfDone(): void {
    if (this.#finished && this.#underWay === 0) this.#subscriber.complete();
  }
}
