import {
  EMPTY,
  Observable,
  Subject,
  type Subscriber,
  catchError,
  defer,
  exhaustMap,
  filter,
  ignoreElements,
  merge,
  switchMap,
  takeWhile,
  tap,
} from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { Reopening } from '../connection/reopening';
import type { Up } from '../connection/supervisor';
import { ChannelError, ConsumerError, type InstanceQueueError, isInstanceQueueError } from '../errors';
import { LONGEST } from '../options';
import { queueTypeOf } from '../topology';
import type { Link, QueuePresence } from '../transport/transport';
import { CancelNotice } from './cancel-notice';
import { type AttachListener, type Attached, attach, rehearseAttach } from './attach';
import type { ResolvedConsumeOptions } from './consume-options';
import { ConsumerChannel } from './consumer-channel';
import type { Delivery, Message } from './delivery';
import { DeliveryDecoder, type Undecodable } from './delivery-decoder';
import { DeliveryLimit } from './delivery-limit';
import { QueueDelays } from './queue-delays';
import { StreamChannel } from './stream/stream-channel';
import { StreamReader } from './stream/stream-reader';

export interface AttachListeners {
  readonly attached: (facts: { readonly tag: string; readonly queue: string; readonly epoch: number }) => void;
  /** An attach failed or an attachment was lost: why, and the ms until the next attempt; without them the next link starts it. */
  readonly detached: (cause: InstanceQueueError, retryIn?: number) => void;
}

/** The attachments of one consumer, one after the other: a fresh one on each link, and after each failure. */
export class AttachLoop<T> {
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #listeners: AttachListeners;
  readonly #decoder: DeliveryDecoder<T>;
  readonly #reopening: Reopening;
  readonly #check: QueueCheck;
  readonly #notice: CancelNotice;
  readonly #stream: StreamReader | undefined;
  readonly #lost = new Subject<Message<unknown>>();
  #present: ConsumerChannel | undefined;
  #retired = false;

  constructor(
    core: ConnectionCore,
    options: ResolvedConsumeOptions<T>,
    subscriber: Subscriber<Delivery<T>>,
    listeners: AttachListeners,
  ) {
    this.#core = core;
    this.#options = options;
    this.#listeners = listeners;
    this.#decoder = new DeliveryDecoder(core, options, subscriber);
    this.#reopening = new Reopening(core, {
      what: `on queue \`${options.queueName}\``,
      isFatal: (error) => isFatal(error, options),
      waiting: listeners.detached,
      rehearse: (link) => rehearseAttach(core, link, options),
    });
    const { offset, declare, checkAfter, spec } = options;
    this.#check = new QueueCheck(declare ? checkAfter : 0);
    this.#notice = new CancelNotice(offset === undefined ? spec && queueTypeOf(spec) : 'stream');
    if (offset !== undefined) this.#stream = new StreamReader({ ...options, offset }, core.log);
  }

  /** The channel that the consumer is attached to; undefined while it is detached. */
  get present(): ConsumerChannel | undefined {
    return this.#present;
  }
  get isStream(): boolean {
    return this.#stream !== undefined;
  }
  get lost$(): Observable<Message<unknown>> {
    return this.#lost;
  }
  get undecodable$(): Observable<Undecodable> {
    return this.#decoder.undecodable$;
  }

  /**
   * Attaches, and again after each loss. Cold. Emits: nothing. Errors: when a first attach was refused for good, or the
   * attempts are spent. Completes: when the connection is closed. Unsubscribe: attaches no more.
   */
  run(): Observable<never> {
    return this.#core.up$.pipe(
      filter((up) => up !== undefined),
      switchMap((up) => this.#attachOn(up)),
    );
  }

  /** Before `run` is unsubscribed from: drains the present attachment, and returns it if it has to be waited for. */
  retire(): ConsumerChannel | undefined {
    const attachment = this.#present;
    this.#present = undefined;
    this.#retired = true;
    this.#reopening.stop();
    if (attachment?.ended !== false) return undefined;
    attachment.drain();
    return attachment;
  }

  /** The consumer ends: no timer is left, and `onOffset` has the last position. */
  stop(): void {
    this.#reopening.stop();
    this.#stream?.report();
  }

  #attachOn(up: Up<Link>): Observable<never> {
    return this.#reopening.on(up.link, () => {
      const options = this.#stream ? { ...this.#options, stream: this.#stream } : this.#options;
      const attached$ = attach(this.#core, up.link, options, this.#notice, (attached) =>
        this.#onAttached(up, attached),
      );
      // The check opens another channel, and a broker that limits channels closes the connection over one too many.
      const look = async (queue: string) => (this.#core.channelsLimited ? 'there' : await up.link.check(queue));
      const missing$ = this.#check.watch(look, () => this.#present?.queue);
      return merge(attached$, missing$).pipe(
        tap({
          error: (error: unknown) => {
            if (isInstanceQueueError(error)) this.#attachFailed(error);
          },
        }),
      );
    });
  }

  /** The broker has registered the consumer. */
  #onAttached({ epoch, link }: Up<Link>, attached: Attached): AttachListener {
    const { channel, tag, queue } = attached;
    const { prefetch, spec, partition } = this.#options;
    const { counters, log } = this.#core;
    const lost = (message: Message<unknown>): void => {
      this.#lost.next(message);
    };
    const limit = new DeliveryLimit(this.#core, queue, spec, link.quorumDeliveryLimit);
    const delays = QueueDelays.of(spec, link);
    const options = { channel, queue, tag, epoch, prefetch, counters, log, lost, limit, delays, partition };
    const attachment = this.#stream
      ? new StreamChannel(options, this.#stream, (one, message, place) => {
          this.#decoder.take(one, message, place);
        })
      : new ConsumerChannel(options);
    channel.ended$.subscribe((error) => {
      attachment.end(error);
    });
    this.#present = attachment;
    // An attach after a pause is no recovery.
    if (this.#reopening.everOpened && !this.#retired) counters.reopens++;
    this.#retired = false;
    this.#reopening.opened();
    log.info({ queue, tag, epoch }, 'consumer attached');
    this.#listeners.attached({ tag, queue, epoch });
    this.#stream?.attached();
    return {
      message: (message) => {
        this.#check.received();
        const { overdrawn } = attachment;
        if (overdrawn) return overdrawn;
        if (attachment instanceof StreamChannel) attachment.take(message);
        else this.#decoder.take(attachment, message);
        return undefined;
      },
      cancelled: () => {
        this.#check.received();
        attachment.abandon();
        // Of a stream the broker says so when it is deleted, and not when a leader or a replica is lost.
        this.#stream?.missing();
      },
    };
  }

  /** A step of attaching was refused, the channel ended, or the broker cancelled the consumer. */
  #attachFailed(error: InstanceQueueError): void {
    this.#present?.abandon(error);
    this.#present = undefined;
    // With `declare: false` only the refusal of `basic.consume` shows that the queue is missing.
    if (error.replyCode === 404 && !this.#options.declare) this.#stream?.missing();
  }
}

/** Ends a consumer that has never attached: a refusal that will not go away by itself. */
const isFatal = (error: InstanceQueueError, { spec }: Pick<ResolvedConsumeOptions<unknown>, 'spec'>): boolean =>
  (error instanceof ChannelError && !error.retryable) || (error.replyCode === 404 && spec?.passive === true);

/**
 * Checks now and then that the queue of an idle consumer still exists. A broker that loses a queue should cancel its
 * consumers, and does not always: RabbitMQ 4.3 takes a queue that is deleted at the end of the broker's start for dead, and
 * removes only its record; the queue's process and its consumers stay (seen on 4.3.6).
 */
export class QueueCheck {
  readonly #after: number;
  #received = false;

  /** `after`: idle time in ms before a check (jittered up to 2×); 0: never. */
  constructor(after: number) {
    this.#after = after;
  }

  /** A message came. */
  received(): void {
    this.#received = true;
  }

  /**
   * Cold. `queueOf` returns the queue while the consumer is attached. Emits: nothing. Errors: CONSUMER_CANCELLED, when the
   * queue is missing. Completes: when the broker refuses the check.
   */
  watch(look: (queue: string) => Promise<QueuePresence>, queueOf: () => string | undefined): Observable<never> {
    if (this.#after === 0) return EMPTY;
    return ticks(this.#after).pipe(
      filter(() => this.#isIdle()),
      exhaustMap(() => {
        const queue = queueOf();
        return queue === undefined ? EMPTY : presenceOf(look, queue);
      }),
      takeWhile((presence) => presence !== 'hidden'),
      ignoreElements(),
    );
  }

  #isIdle(): boolean {
    const idle = !this.#received;
    this.#received = false;
    return idle;
  }
}

/** Emits every `ms` to twice that, at random, so that a thousand consumers do not ask at once. Keeps no process alive. */
function ticks(ms: number): Observable<void> {
  return new Observable((subscriber) => {
    let timer: NodeJS.Timeout;
    const next = (): void => {
      timer = setTimeout(
        () => {
          next();
          subscriber.next();
        },
        Math.min(ms * (1 + Math.random()), LONGEST),
      ).unref();
    };
    next();
    return () => {
      clearTimeout(timer);
    };
  });
}

function presenceOf(look: (queue: string) => Promise<QueuePresence>, queue: string): Observable<QueuePresence> {
  return defer(() => look(queue)).pipe(
    // A check that failed is repeated at the next tick.
    catchError(() => EMPTY),
    tap((presence) => {
      if (presence === 'missing') throw missing(queue);
    }),
  );
}

const missing = (queue: string): ConsumerError =>
  new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `Queue \`${queue}\` is gone, and the broker did not cancel its consumer.`,
  );
