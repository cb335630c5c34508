import type { ConsumeMessage } from 'amqplib';
import {
  EMPTY,
  asapScheduler,
  defer,
  filter,
  firstValueFrom,
  from,
  mergeMap,
  race,
  retry,
  switchMap,
  take,
  timer,
} from 'rxjs';
import type { Observable, Subscriber, Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { CloseReport, ConnectionCore, Member } from '../connection/core';
import type { Link } from '../connection/link';
import type { Up } from '../connection/supervisor';
import { ChannelError, ConsumerError, isInstanceQueueError, type InstanceQueueError } from '../errors';
import { attach, type Attached, type OnMessage } from './attach';
import { Attachment } from './attachment';
import { propertiesOf, toMessage, type Delivery, type Message } from './delivery';
import type { ResolvedConsumeOptions } from './resolved-options';

/** Where a consumer is. `detached` without a cause: waiting for its first connection. */
export type ConsumerState =
  | { readonly status: 'detached'; readonly cause?: InstanceQueueError; readonly retryIn?: number }
  | { readonly status: 'attached'; readonly tag: string; readonly queue: string; readonly epoch: number }
  | { readonly status: 'draining'; readonly unsettled: number }
  | { readonly status: 'stopped'; readonly cause?: InstanceQueueError };

/** Who wants to know what is no message. */
export interface ConsumerWatch {
  readonly started?: (consumption: Pick<Member, 'close'>) => void;
  readonly state?: (state: ConsumerState) => void;
  readonly undecodable?: (message: Message<Buffer>, cause: ConsumerError) => void;
  readonly lost?: (message: Message<unknown>) => void;
}

/** ms that the closing handshake of a channel gets when no time is left: what was settled is still on its way to the socket. */
const GRACE = 100;
const NOTHING_LEFT: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** One subscription of `consume()`: attaches on every link, drains at the end. */
export class Consumption<T> implements Member {
  readonly direction = 'inbound';
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #watch: ConsumerWatch;
  readonly #unregister: () => void;
  #loop: Subscription | undefined;
  #until: Subscription | undefined;
  #stability: Subscription | undefined;
  #attachment: Attachment | undefined;
  #everAttached = false;
  /** Failures since the last stable attach; it sets how long the next try waits. */
  #growth = 0;
  /** Failures since the last attach of any length. */
  #failures = 0;
  #ending: Promise<CloseReport> | undefined;
  #force: () => void = () => undefined;
  readonly #forced = new Promise<void>((resolve) => {
    this.#force = resolve;
  });

  constructor(
    core: ConnectionCore,
    options: ResolvedConsumeOptions<T>,
    subscriber: Subscriber<Delivery<T>>,
    watch: ConsumerWatch,
  ) {
    this.#core = core;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#watch = watch;
    this.#unregister = core.register(this);
    watch.started?.(this);
    this.#state({ status: 'detached' });
    if (core.state.status === 'closing' || core.state.status === 'closed') {
      this.#fail(core.closedError());
      return;
    }
    core.open();
    this.#loop = core.up$
      .pipe(
        filter((up) => up !== undefined),
        switchMap((up) => this.#attachOn(up)),
      )
      .subscribe({
        error: (error: unknown) => {
          this.#fail(isInstanceQueueError(error) ? error : core.closedError());
        },
        complete: () => {
          if (!this.#ending) this.#fail(core.closedError());
        },
      });
    if (options.until !== undefined && !this.#ending) {
      const end = (): void => {
        void this.close(core.drainTimeout);
      };
      this.#until = from(options.until).pipe(take(1)).subscribe({ next: end, error: end, complete: end });
    }
  }

  /** Cancels, drains for at most `within` ms, completes. Each call may shorten the time that is left. */
  close(within: number): Promise<CloseReport> {
    const deadline = timer(within).subscribe(() => {
      this.#force();
    });
    this.#ending ??= this.#end();
    void this.#ending.then(() => {
      deadline.unsubscribe();
    });
    return this.#ending;
  }

  #attachOn(up: Up<Link>): Observable<never> {
    return defer(() => {
      if (up.link.lost) throw up.link.lost;
      return attach(up.link, this.#options, (attached) => this.#onAttached(up.epoch, attached));
    }).pipe(retry({ delay: (error: InstanceQueueError) => this.#again(up.link, error) }));
  }

  #onAttached(epoch: number, attached: Attached): OnMessage {
    const { open, tag, queue } = attached;
    const { prefetch } = this.#options;
    const { counters, log } = this.#core;
    const lost = (message: Message<unknown>): void => this.#watch.lost?.(message);
    const attachment = new Attachment({ open, queue, tag, epoch, prefetch, counters, log, lost });
    open.ended$.subscribe((error) => {
      attachment.end(error);
    });
    this.#attachment = attachment;
    if (this.#everAttached) counters.reopens++;
    this.#everAttached = true;
    this.#failures = 0;
    this.#stability = timer(this.#core.reopen.stableAfter).subscribe(() => {
      this.#growth = 0;
    });
    log.info({ queue, tag, epoch }, 'consumer attached');
    this.#state({ status: 'attached', tag, queue, epoch });
    return (message) => {
      if (message) this.#onMessage(attachment, message);
      else attachment.abandon();
    };
  }

  #onMessage(attachment: Attachment, raw: ConsumeMessage): void {
    const { codec, noAck, onUndecodable } = this.#options;
    const { queue } = attachment;
    if (attachment.ended) return;
    if (attachment.draining && !noAck) {
      attachment.refuse(raw, 'release');
      return;
    }
    const properties = propertiesOf(raw);
    let body: T;
    try {
      body = codec.decode(raw.content, properties);
    } catch (cause) {
      if (!noAck) attachment.refuse(raw, onUndecodable);
      this.#undecodable(toMessage(raw, queue, raw.content, properties), cause);
      return;
    }
    if (noAck) {
      const { counters } = this.#core;
      counters.delivered++;
      if (raw.fields.redelivered) counters.redelivered++;
      // The overload with `noAck` promises messages only.
      this.#subscriber.next(toMessage(raw, queue, body, properties) as Delivery<T>);
    } else this.#subscriber.next(attachment.deliver(raw, body, properties));
  }

  #undecodable(message: Message<Buffer>, cause: unknown): void {
    const { queue, exchange, routingKey, properties } = message;
    this.#core.counters.undecodable++;
    const sentence = `Cannot decode a message of queue \`${queue}\` (content type ${properties.contentType ?? 'none'}, ${String(message.content.length)} bytes).`;
    // The codec's own error may quote the body; it is kept as the cause, and stays out of the log.
    const error = new ConsumerError('UNDECODABLE', queue, sentence, { cause });
    const facts = { queue, exchange, routingKey, messageId: properties.messageId, policy: this.#options.onUndecodable };
    this.#core.log.warn(facts, 'undecodable message');
    this.#watch.undecodable?.(message, error);
  }

  /** After a failed attach, a channel that ended, a cancel: when to try again, on this link. */
  #again(link: Link, error: InstanceQueueError): Observable<unknown> {
    const wasAttached = this.#attachment !== undefined;
    this.#stability?.unsubscribe();
    this.#attachment?.abandon(error);
    this.#attachment = undefined;
    // A loss is told by channel, connection and state one after the other: judge it when all have spoken.
    return timer(0, asapScheduler).pipe(
      mergeMap(() => {
        if (!this.#everAttached && this.#isFatal(error)) throw error;
        if (link.lost) {
          this.#state({ status: 'detached', cause: isFinal(error) ? error : link.lost });
          return EMPTY;
        }
        if (!wasAttached) this.#failures++;
        const { attempts, initialAttempts } = this.#core.reopen;
        if (this.#failures >= (this.#everAttached ? attempts : initialAttempts)) throw this.#gaveUp(error);
        this.#growth++;
        // What was attached may come back at once; what failed, or fails soon again, waits.
        const delay =
          wasAttached && this.#growth === 1
            ? 0
            : backoffDelay(this.#core.reopen, this.#growth, { slowly: !wasAttached && !error.retryable });
        this.#core.log.warn({ queue: this.#options.queueName, err: error, retryIn: delay }, 'consumer detached');
        this.#state({ status: 'detached', cause: error, retryIn: delay });
        return timer(delay);
      }),
    );
  }

  /** Strict first: what cannot mend itself fails the first attach. */
  #isFatal(error: InstanceQueueError): boolean {
    return isFinal(error) || (error.replyCode === 404 && this.#options.spec?.passive === true);
  }

  #gaveUp(cause: InstanceQueueError): InstanceQueueError {
    const message = `Gave up on queue \`${this.#options.queueName}\` after ${String(this.#failures)} failed attempts. ${cause.message}`;
    return new ChannelError(message, { cause, replyCode: cause.replyCode });
  }

  async #end(): Promise<CloseReport> {
    this.#until?.unsubscribe();
    this.#stability?.unsubscribe();
    const attachment = this.#attachment;
    const draining = attachment !== undefined && !attachment.ended;
    // Before the loop ends: an attach that is not drained takes its channel with it.
    if (draining) attachment.drain();
    this.#loop?.unsubscribe();
    const unsettled = draining ? await this.#drained(attachment) : 0;
    this.#stop();
    return { unsettled, unconfirmed: 0 };
  }

  /** Resolves when all is settled, the channel is gone or the time is up; with how many were left then. */
  async #drained(attachment: Attachment): Promise<number> {
    const settled = new Promise<void>((resolve) => {
      let cancelled = false;
      const look = (): void => {
        if (attachment.ended || (cancelled && attachment.unsettled === 0)) resolve();
        else this.#state({ status: 'draining', unsettled: attachment.unsettled });
      };
      attachment.watch(look);
      look();
      // Messages still come until cancel-ok.
      void attachment.cancel().then(() => {
        cancelled = true;
        look();
      });
    });
    await Promise.race([settled, this.#forced]);
    const { unsettled } = attachment;
    const late$ = from(this.#forced).pipe(switchMap(() => timer(GRACE)));
    await firstValueFrom(race<unknown[]>(attachment.close(), late$));
    return unsettled;
  }

  #stop(cause?: InstanceQueueError): void {
    this.#unregister();
    this.#state(cause ? { status: 'stopped', cause } : { status: 'stopped' });
    if (cause) this.#subscriber.error(cause);
    else this.#subscriber.complete();
  }

  #fail(cause: InstanceQueueError): void {
    if (this.#ending) return;
    this.#ending = Promise.resolve(NOTHING_LEFT);
    this.#until?.unsubscribe();
    this.#stability?.unsubscribe();
    this.#core.log.error({ queue: this.#options.queueName, err: cause }, 'consumer stopped');
    this.#stop(cause);
  }

  #state(state: ConsumerState): void {
    this.#watch.state?.(Object.freeze(state));
  }
}

const isFinal = (error: InstanceQueueError): boolean => error instanceof ChannelError && !error.retryable;
