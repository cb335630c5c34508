import { Observable, type OperatorFunction, Subject, type Subscriber, takeUntil } from 'rxjs';
import { Ring } from '../collections/ring';
import { checkOptions, DEFAULTS, integer, type Shape } from '../options';
import type { OutboundMessage } from './outbound-message';
import type { Confirmation } from './pending-send';
import type { Producer } from './producer';
import { SEND, type SendOptions } from './producer-options';

/** How a stream is sent: the options of each `send`, and how many are under way. */
export interface PublishOptions extends SendOptions {
  /** Messages sent and not settled at once; what the source emits beyond waits. @default 1000 */
  readonly concurrency?: number;
}

/** Messages that are fetched one by one, when there is room for them. */
export type MessageIterable<T> = Iterable<OutboundMessage<T>> | AsyncIterable<OutboundMessage<T>>;

const PUBLISH: Shape<PublishOptions> = { ...SEND, concurrency: integer(1, 1_000_000) };

/**
 * Sends what the source emits, in order.
 *
 * An Observable cannot be held back: what it emits beyond `concurrency` waits in memory, as it is, not encoded. An iterable
 * or async iterable (a generator, a stream of Node's, rows of a query) is handed over as the second argument instead: it
 * is asked for a message when there is room for one, so that millions go through in constant memory.
 *
 * Emits: a confirmation per message, as they come. Completes: when the source has and all is confirmed. Errors: with the
 * source, or with the first PublishError. Unsubscribe: nothing more is taken from the source; what was sent stays sent.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * orders$.pipe(map((body) => ({ queue: 'orders', body })), publish(producer)).subscribe({ error: console.error });
 */
export function publish<T>(
  producer: Pick<Producer<T>, 'send'>,
  options?: PublishOptions,
): OperatorFunction<OutboundMessage<T>, Confirmation>;
export function publish<T>(
  producer: Pick<Producer<T>, 'send'>,
  messages: MessageIterable<T>,
  options?: PublishOptions,
): Observable<Confirmation>;
export function publish<T>(
  producer: Pick<Producer<T>, 'send'>,
  first: MessageIterable<T> | PublishOptions = {},
  second: PublishOptions = {},
): OperatorFunction<OutboundMessage<T>, Confirmation> | Observable<Confirmation> {
  const iterable = isIterable(first) ? first : undefined;
  const options = isIterable(first) ? second : first;
  checkOptions(options, PUBLISH, { of: 'publish()' });
  const { concurrency = DEFAULTS.maxInFlight, ...send } = options;
  const sends = (subscriber: Subscriber<Confirmation>, settled: () => void): Sends<T> =>
    new Sends(producer, send, concurrency, subscriber, settled);
  if (iterable) return new Observable((subscriber) => pull(iterable, subscriber, sends));
  return (source) =>
    new Observable((subscriber) => {
      push(source, subscriber, sends);
    });
}

type MakeSends<T> = (subscriber: Subscriber<Confirmation>, settled: () => void) => Sends<T>;

/** Options are no iterable, and what is iterable no options. */
export const isIterable = <T>(value: MessageIterable<T> | PublishOptions | undefined): value is MessageIterable<T> =>
  typeof value === 'object' && (Symbol.iterator in value || Symbol.asyncIterator in value);

/** What comes is queued. Not by `mergeMap`, whose queue takes ever longer to shift once it is long. */
function push<T>(
  source: Observable<OutboundMessage<T>>,
  subscriber: Subscriber<Confirmation>,
  sendsFor: MakeSends<T>,
): void {
  const waiting = new Ring<OutboundMessage<T>>();
  let completed = false;
  const pump = (): void => {
    for (let next = waiting.at(0); next && sends.room; next = waiting.at(0)) {
      waiting.shift();
      sends.start(next);
    }
    if (completed && waiting.length === 0) sends.finish();
  };
  const sends = sendsFor(subscriber, pump);
  // Also from within its own `subscribe`: a source that emits all at once is not held by any subscription yet.
  const stop$ = new Subject<void>();
  subscriber.add(() => {
    stop$.next();
    waiting.clear();
  });
  source.pipe(takeUntil(stop$)).subscribe({
    next: (message) => {
      waiting.push(message);
      if (sends.room) pump();
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

/** What there is room for is fetched. Returns how to stop. */
function pull<T>(
  messages: MessageIterable<T>,
  subscriber: Subscriber<Confirmation>,
  sendsFor: MakeSends<T>,
): () => void {
  const iterator = Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator]();
  let fetching = false;
  let exhausted = false;
  const take = ({ done, value }: IteratorResult<OutboundMessage<T>, unknown>): void => {
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
        const fetched = iterator.next();
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
    if (exhausted) return;
    // What it holds open (a file, a cursor) is let go. Nobody waits for that, nor for what comes of it.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  };
}

/** Sends of one stream: so many at once, each confirmation to its subscriber, the first failure ends it. */
export class Sends<T> {
  readonly #producer: Pick<Producer<T>, 'send'>;
  readonly #options: SendOptions;
  readonly #most: number;
  readonly #subscriber: Subscriber<Confirmation>;
  /** Is told when one was settled. */
  readonly #settled: () => void;
  #underWay = 0;
  #finished = false;

  constructor(
    producer: Pick<Producer<T>, 'send'>,
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

  start(message: OutboundMessage<T>): void {
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

  /** There will be no other. */
  finish(): void {
    this.#finished = true;
    this.#completeIfDone();
  }

  #completeIfDone(): void {
    if (this.#finished && this.#underWay === 0) this.#subscriber.complete();
  }
}
