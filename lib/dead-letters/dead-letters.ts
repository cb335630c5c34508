/**
 * Looks after a dead-letter queue: what is in it and why, and its letters back to where they failed, elsewhere, or away.
 *
 * `DeadLetters` reads the queue with a `QueueScan` (consumer/queue-scan.ts), which acks letters one by one and gives the others
 * back. `readDeadLetter` reads headers, `matcher` filters, `LetterGroups` counts, `transfer` publishes and acks, `DeliveryGuard`
 * ends a look that would cost letters. This room imports client/, consumer/, producer/ and the layers below.
 */
import {
  auditTime,
  connect,
  filter,
  map,
  merge,
  type Observable,
  scan as accumulate,
  startWith,
  takeLast,
  takeWhile,
} from 'rxjs';
import type { InstanceQueue } from '../client/instance-queue';
import { written } from '../codec';
import { closingBehind, opening } from '../consumer/closing-behind';
import type { QueueScan } from '../consumer/queue-scan';
import { checkOptions, expected, isObject, shortString } from '../options';
import type { Producer } from '../producer/producer';
import type { Route } from '../properties';
import { checkRoute } from '../topology-checks';
import { type DeadLetter, readDeadLetter, type Target } from './dead-letter';
import {
  LOOK,
  type LookOptions,
  MOVE,
  type MoveOptions,
  REPLAY,
  type ReplayOptions,
  TAKE,
  type TakeOptions,
} from './letter-options';
import { matcher } from './letter-filter';
import { type DeadLetterGroups, LetterGroups } from './letter-groups';
import { DeliveryGuard } from './letter-scan';
import type { DeadLetterReport } from './dead-letter-report';
import { TargetLook } from './target-look';
import { transfer, type TransferOptions } from './transfer';

/** Letters that may be under way. */
const WINDOW = 1000;
/** ms that a confirm may take: a broker that has a million letters to deal with is slow, and a person sees that it goes on. */
const CONFIRMED_WITHIN = 300_000;
/** Letters that may be on their way while none is sent. */
const LOOKING = 5000;
/** ms between two counts. */
const COUNT_EVERY = 100;

/**
 * A dead-letter queue, to be looked at and emptied. Made by `deadLetters`. It declares nothing and keeps nothing between two calls.
 *
 * A look takes nothing away, as `admin.browse` explains. Letters that are taken are acked once the broker has confirmed their copy:
 * a process that is killed in between leaves two with one `messageId`, and never none. A letter that was sent without a
 * `messageId` gets one then.
 *
 * @example
 * const letters = deadLetters(queue, 'orders.dead');
 * for (const { count, error } of (await lastValueFrom(letters.groups())).groups) console.log(count, error?.name);
 * await lastValueFrom(letters.replay({ where: { error: 'PriceMissing' } }));
 */
export class DeadLetters {
  /** The name of the queue. */
  readonly name: string;
  readonly #queue: InstanceQueue;

  /** @internal */
  constructor(queue: InstanceQueue, name: string) {
    this.#queue = queue;
    this.name = name;
  }

  /**
   * Counts letters by what they died of.
   *
   * Cold. Emits: the counts so far, ten times a second at most, then the last. Completes: after `limit` letters, or after those that
   * were there at the start. Errors: as `admin.browse`; OptionsError, when looking again could cost letters (`deliveryLimit`);
   * what `where` throws. Unsubscribe: ends the look.
   *
   * @throws OptionsError if an option cannot be right
   */
  groups(options: LookOptions = {}): Observable<DeadLetterGroups> {
    const { matches, reading } = this.#looking(options);
    return reading(({ scan, guard, letter$ }) => {
      const groups = new LetterGroups();
      const counts = (read: number, stopped: boolean): DeadLetterGroups => ({
        found: scan.found,
        read,
        matched: groups.matched,
        groups: groups.list(),
        others: groups.others,
        highestCount: guard.highest,
        ...(stopped && { stopped: 'delivery-limit' }),
      });
      const read$ = letter$.pipe(
        accumulate(
          ({ read }, { letter, last }) => {
            if (matches(letter)) groups.add(letter);
            return { read: read + 1, stopped: last };
          },
          { read: 0, stopped: false },
        ),
        startWith({ read: 0, stopped: false }),
      );
      return withLast(read$, COUNT_EVERY).pipe(map(({ read, stopped }) => counts(read, stopped)));
    });
  }

  /**
   * The letters themselves, from the oldest on.
   *
   * Cold. Emits: each that matches. Completes: after `limit` letters were read, or after those that were there at the start.
   * Errors: as `groups`. Unsubscribe: ends the look.
   *
   * @throws OptionsError if an option cannot be right
   */
  look(options: LookOptions = {}): Observable<DeadLetter> {
    const { matches, reading } = this.#looking(options);
    return reading(({ letter$ }) => letter$).pipe(
      map(({ letter }) => letter),
      filter(matches),
    );
  }

  /**
   * Sends letters back to be worked on anew: the same bytes, `messageId` and properties, without the headers of the broker and of
   * `retry`, so that their attempts begin again, and without `CC`, `BCC`, `userId` and `expiration`. For its consumers a letter has
   * the exchange and the routing key of its first publish. One that fails again comes back to the end of its queue, and is not sent
   * again by the same call.
   *
   * Cold. Emits: reports, ten a second at most, then the last. Completes: when all that were there at the start are done, or after
   * an abort. Errors: as `admin.browse` and `send`, except for what concerns one letter alone, which counts as `kept`; what `where`
   * throws. Letters not yet done are back in the queue. Unsubscribe: takes no more; what is under way is finished.
   *
   * @throws OptionsError if an option cannot be right
   */
  replay(options: ReplayOptions = {}): Observable<DeadLetterReport> {
    checkOptions(options, REPLAY, { of: 'replay()' });
    const { to = 'queue' } = options;
    if (isObject(to)) checkRoute(to, 'to');
    return this.#taking(options, { target: (letter) => this.#origin(letter, to), anew: true });
  }

  /**
   * Moves letters elsewhere as they are: with the headers of `retry`, though not with those of the broker, which only brokers may
   * write: `x-death` goes along under another name, so that a letter still says where and of what it died. Moving letters into their
   * own queue begins their delivery counts again.
   *
   * Cold. Emits: reports, as `replay`. Completes: as `replay`. Errors: as `replay`. Unsubscribe: takes no more.
   *
   * @throws OptionsError if an option cannot be right
   */
  move(to: Route, options: MoveOptions = {}): Observable<DeadLetterReport> {
    if (!isObject(to)) throw expected('to', 'a route', to);
    checkRoute(to, 'to');
    checkOptions(options, MOVE, { of: 'move()' });
    const target = targetOf(to);
    return this.#taking(options, { target: () => target, anew: false });
  }

  /**
   * Drops letters for good.
   *
   * Cold. Emits: reports, ten a second at most, then the last. Completes: when done. Errors: as `admin.browse`; what `where`
   * throws. Unsubscribe: drops no more.
   *
   * @throws OptionsError if an option cannot be right
   */
  drop(options: TakeOptions = {}): Observable<DeadLetterReport> {
    checkOptions(options, TAKE, { of: 'drop()' });
    return this.#taking(options, { target: 'drop', anew: false });
  }

  #origin(letter: DeadLetter, to: NonNullable<ReplayOptions['to']>): Target | undefined {
    if (isObject(to)) return targetOf(to);
    const failedIn = letter.queue === undefined ? undefined : targetOf({ queue: letter.queue });
    const target = to === 'published' ? letter.published : failedIn;
    // Into itself it would come back as it is.
    return target?.exchange === '' && target.routingKey === this.name ? undefined : target;
  }

  #looking(options: LookOptions): {
    readonly matches: (letter: DeadLetter) => boolean;
    readonly reading: <T>(read: (look: Look) => Observable<T>) => Observable<T>;
  } {
    checkOptions(options, LOOK, { of: 'a look at dead letters' });
    const { limit = 1000, where, deliveryLimit } = options;
    const open = (): Promise<QueueScan> => this.#queue.admin.scan(this.name, { limit, window: LOOKING });
    const look = (scan: QueueScan): Look =>
      new Look(scan, new DeliveryGuard(scan, this.name, deliveryLimit), this.name);
    return { matches: matcher(where), reading: (read) => opening(open, (scan) => read(look(scan))) };
  }

  #taking(
    { limit = Infinity, where, dryRun = false, rate, deliveryLimit, signal }: MoveOptions,
    how: Pick<TransferOptions, 'target' | 'anew'>,
  ): Observable<DeadLetterReport> {
    const matches = matcher(where);
    // At a low rate fewer letters wait for their turn.
    const window = dryRun ? LOOKING : Math.max(1, Math.min(WINDOW, Math.ceil(rate ?? WINDOW)));
    const open = (): Promise<QueueScan> => this.#queue.admin.scan(this.name, { limit, window });
    return opening(open, (scan) => {
      const guard = new DeliveryGuard(scan, this.name, deliveryLimit);
      const producer = how.target === 'drop' || dryRun ? undefined : this.#producer();
      const look = new TargetLook(() => this.#queue.admin.link());
      return transfer(scan, guard, producer, {
        queue: this.name,
        matches,
        dryRun,
        look,
        timeout: CONFIRMED_WITHIN,
        rate,
        signal,
        ...how,
      });
    });
  }

  /**
   * Nothing is declared: a queue that is gone must not come back empty, and without its consumers. The defaults of the caller's
   * producers do not apply: a letter is acked once its copy is confirmed, so that a copy that no queue takes has to come back.
   */
  #producer(): Producer<Buffer> {
    return this.#queue.producer({
      codec: written,
      declare: false,
      maxInFlight: WINDOW,
      timeout: CONFIRMED_WITHIN,
      mandatory: true,
      persistent: true,
      onUnknown: 'resend',
      onNack: 'resend',
      outbox: { overflow: 'wait' },
    });
  }
}

/** A scan that keeps everything. */
class Look {
  readonly letter$: Observable<{ readonly letter: DeadLetter; readonly last: boolean }>;

  constructor(
    readonly scan: QueueScan,
    readonly guard: DeliveryGuard,
    name: string,
  ) {
    const read$ = scan.message$.pipe(
      map((message) => {
        const letter = readDeadLetter(message, name);
        const last = !guard.passes(letter);
        scan.keep(message.deliveryTag);
        return { letter, last };
      }),
      takeWhile(({ last }) => !last, true),
    );
    this.letter$ = closingBehind(read$, scan);
  }
}

/** Values at most every `ms`, and the last one. */
function withLast<T>(source: Observable<T>, ms: number): Observable<T> {
  return source.pipe(connect((shared$) => merge(shared$.pipe(auditTime(ms)), shared$.pipe(takeLast(1)))));
}

const targetOf = ({ queue, exchange = '', routingKey = '' }: Route): Target => ({
  exchange,
  routingKey: queue ?? routingKey,
});

/**
 * The dead-letter queue of that name, to be looked at and emptied. @throws OptionsError
 *
 * @example
 * await lastValueFrom(deadLetters(queue, 'orders.dead').replay({ rate: 100 }));
 */
export function deadLetters(queue: InstanceQueue, name: string): DeadLetters {
  if (typeof name !== 'string' || name === '') throw expected('name', 'the name of a queue', name);
  const wrong = shortString()(name);
  if (wrong !== undefined) throw expected('name', wrong, name);
  return new DeadLetters(queue, name);
}
