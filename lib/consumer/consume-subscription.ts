import { Subject, concatMap, filter, from, ignoreElements, merge, switchMap, take, tap, timer } from 'rxjs';
import type { Observable, ObservableInput, Subscriber, Subscription } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseReport, Member } from '../connection/member';
import { Reopening } from '../connection/reopening';
import type { Up } from '../connection/supervisor';
import { tellState } from '../diagnostics';
import { ChannelError, isInstanceQueueError, type InstanceQueueError } from '../errors';
import { StateSubject } from '../reactive/state-subject';
import type { Link } from '../transport/transport';
import { attach, rehearseAttach, type Attached, type AttachListener } from './attach';
import { ConsumerChannel } from './consumer-channel';
import type { Backlog, ConsumerState } from './consumer-state';
import type { Delivery, Message } from './delivery';
import { Draining } from './draining';
import { DeliveryDecoder, type Undecodable } from './delivery-decoder';
import { DeliveryLimit } from './delivery-limit';
import { QueueCheck } from './queue-check';
import { pauseFailed, pauses, type ResolvedConsumeOptions } from './consume-options';
import { StreamChannel } from './stream/stream-channel';
import { StreamReader } from './stream/stream-reader';

const NOTHING_LEFT: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** One subscription of `consume()`: attaches on each link of its connection, and drains at the end. */
export class ConsumeSubscription<T> implements Member {
  readonly direction = 'inbound';
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #state = new StateSubject<ConsumerState>(Object.freeze({ status: 'detached' }));
  readonly #lost = new Subject<Message<unknown>>();
  readonly #unregister: () => void;
  #loop: Subscription | undefined;
  #until: Subscription | undefined;
  #pausing: Subscription | undefined;
  /** The present attachment. Those that drain are in `#draining`. */
  #attached: ConsumerChannel | undefined;
  readonly #decoder: DeliveryDecoder<T>;
  readonly #reopening: Reopening;
  readonly #check: QueueCheck;
  readonly #stream: StreamReader | undefined;
  #ending: Promise<CloseReport> | undefined;
  /** Why it ends; undefined if the subscriber, `until` or `close` ended it. */
  #cause: InstanceQueueError | undefined;
  #paused = false;
  /** Settles when the broker has cancelled the consumer for the last pause and, on a stream, all it had handed out is settled. */
  #pauseDone: Promise<unknown> | undefined;
  /** Publish `draining` states: it ends. A pause drains as well, and says so by `paused` alone. */
  #showsDraining = false;
  readonly #draining = new Draining(() => {
    if (this.#showsDraining) this.#write({ status: 'draining', unsettled: this.#draining.unsettled });
  });

  constructor(core: ConnectionCore, options: ResolvedConsumeOptions<T>, subscriber: Subscriber<Delivery<T>>) {
    this.#core = core;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#decoder = new DeliveryDecoder(core, options, subscriber);
    this.#reopening = new Reopening(core, {
      what: `on queue \`${options.queueName}\``,
      isFatal: (error) => isFatal(error, options),
      waiting: (cause, retryIn) => {
        this.#detached(cause, retryIn);
      },
      rehearse: (link) => rehearseAttach(core, link, options),
    });
    const { offset, declare, checkAfter } = options;
    this.#check = new QueueCheck(declare ? checkAfter : 0);
    if (offset !== undefined) this.#stream = new StreamReader({ ...options, offset }, core.log);
    this.#tell(this.state);
    this.#unregister = core.register(this);
  }

  /** The queue that was asked for, by its name. */
  get queueName(): string {
    return this.#options.queueName;
  }
  /** Hot. Emits: the present state, then each new one. Completes: behind `stopped`. Errors: never. */
  get state$(): Observable<ConsumerState> {
    return this.#state.value$;
  }
  /** The present state. */
  get state(): ConsumerState {
    return this.#state.value;
  }
  /** Hot. Emits: each delivery whose channel ended before it was settled. Completes: never. */
  get lost$(): Observable<Message<unknown>> {
    return this.#lost;
  }
  /** Hot. Emits: each message that the codec could not decode. Completes: never. */
  get undecodable$(): Observable<Undecodable> {
    return this.#decoder.undecodable$;
  }

  /** Attaches as soon as there is a link. Called once, after the subscriptions to its states. */
  start(): void {
    const core = this.#core;
    const options = this.#options;
    if (core.state.status === 'closing' || core.state.status === 'closed') {
      this.#fail(core.closedError());
      return;
    }
    core.open();
    if (options.pause !== undefined) this.#followPause(options.pause);
    if (this.#subscriber.closed) return;
    if (this.#paused) this.#detach();
    else this.#attach();
    if (options.until !== undefined && !this.#ending) {
      const end = (): void => {
        void this.close(core.drainTimeout);
      };
      this.#until = from(options.until).pipe(take(1)).subscribe({ next: end, error: end, complete: end });
    }
  }

  get backlog(): Backlog | undefined {
    return this.#attached?.backlog;
  }

  /** Cancels, drains for at most `within` ms, completes. A later call may shorten the time that is left, not extend it. */
  close(within: number): Promise<CloseReport> {
    const deadline = timer(within).subscribe(() => {
      this.#draining.force();
    });
    this.#ending ??= this.#end();
    void this.#ending.then(() => {
      deadline.unsubscribe();
    });
    return this.#ending;
  }

  /** Follows `pause`. Values that it emits on subscribe only decide how the loop starts. */
  #followPause(pause: ObservableInput<boolean>): void {
    this.#pausing = pauses(pause).subscribe({
      next: (paused) => {
        const changed = paused !== this.#paused;
        this.#paused = paused;
        if (!changed || !this.#loop || this.#ending) return;
        if (paused) this.#detach();
        else this.#attach();
      },
      error: (error: unknown) => {
        if (this.#ending) return;
        this.#cause = pauseFailed(this.#options.queueName, error);
        this.#core.log.error({ queue: this.#options.queueName, err: this.#cause }, 'consumer stopped');
        // The error unsubscribes, and that drains.
        this.#subscriber.error(this.#cause);
      },
    });
    if (this.#ending) this.#pausing.unsubscribe();
  }

  /** Attaches on each link, until paused or ended. */
  #attach(): void {
    const attached$ = this.#core.up$.pipe(
      filter((up) => up !== undefined),
      switchMap((up) => this.#attachOn(up)),
    );
    const before = this.#pauseDone;
    // An exclusive consumer is refused until the broker has cancelled the one before.
    this.#run(before ? from(before).pipe(concatMap(() => attached$)) : attached$);
    if (before && !this.#paused && !this.#ending) this.#write({ status: 'detached' });
  }

  /** Pauses: cancels the consumer, and closes its channel when everything it handed out is settled. */
  #detach(): void {
    const attachment = this.#retire();
    if (attachment) {
      const cancelled = this.#draining.add(attachment);
      // The next attach to a stream resumes at the first open message, and would hand it out a second time.
      this.#pauseDone = this.#stream ? this.#draining.end() : cancelled;
    } else this.#pauseDone ??= Promise.resolve();
    this.#run(this.#core.up$.pipe(ignoreElements()));
    if (!this.#paused || this.#ending) return;
    this.#core.log.info({ queue: this.#options.queueName }, 'consumer paused');
    this.#write({ status: 'paused' });
  }

  /** Ends the loop. Returns the attachment that has to be drained, if there is one. */
  #retire(): ConsumerChannel | undefined {
    const attachment = this.#attached;
    this.#attached = undefined;
    this.#reopening.stop();
    if (attachment?.ended === false) attachment.drain();
    this.#loop?.unsubscribe();
    return attachment?.ended === false ? attachment : undefined;
  }

  #run(work$: Observable<unknown>): void {
    this.#loop?.unsubscribe();
    this.#loop = work$.subscribe({
      error: (error: unknown) => {
        this.#fail(isInstanceQueueError(error) ? error : this.#core.closedError());
      },
      complete: () => {
        if (!this.#ending) this.#fail(this.#core.closedError());
      },
    });
  }

  #attachOn(up: Up<Link>): Observable<never> {
    return this.#reopening.on(up.link, () => {
      const options = this.#stream ? { ...this.#options, stream: this.#stream } : this.#options;
      const attached$ = attach(this.#core, up.link, options, (attached) => this.#onAttached(up, attached));
      // The check opens another channel, and a broker that limits channels closes the connection over one too many.
      const look = async (queue: string) => (this.#core.channelsLimited ? 'there' : await up.link.check(queue));
      const missing$ = this.#check.watch(look, () => this.#attached?.queue);
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
    const { prefetch } = this.#options;
    const { counters, log } = this.#core;
    const lost = (message: Message<unknown>): void => {
      this.#lost.next(message);
    };
    const limit = new DeliveryLimit(this.#core, queue, this.#options.spec, link.quorumDeliveryLimit);
    const options = { channel, queue, tag, epoch, prefetch, counters, log, lost, limit };
    const attachment = this.#stream
      ? new StreamChannel(options, this.#stream, (one, message, place) => {
          this.#decoder.take(one, message, place);
        })
      : new ConsumerChannel(options);
    channel.ended$.subscribe((error) => {
      attachment.end(error);
    });
    this.#attached = attachment;
    // An attach after a pause is no recovery.
    if (this.#reopening.everOpened && this.#pauseDone === undefined) counters.reopens++;
    this.#pauseDone = undefined;
    this.#reopening.opened();
    log.info({ queue, tag, epoch }, 'consumer attached');
    this.#write({ status: 'attached', tag, queue, epoch });
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
      },
    };
  }

  /** A step of attaching was refused, the channel ended, or the broker cancelled the consumer. */
  #attachFailed(error: InstanceQueueError): void {
    this.#attached?.abandon(error);
    this.#attached = undefined;
    // With `declare: false` only the refusal of `basic.consume` shows that the queue is missing.
    if (error.replyCode === 404 && !this.#options.declare) this.#stream?.missing();
  }

  #detached(cause: InstanceQueueError, retryIn?: number): void {
    if (retryIn === undefined) {
      this.#write({ status: 'detached', cause });
      return;
    }
    this.#core.log.warn({ queue: this.#options.queueName, err: cause, retryIn }, 'consumer detached');
    this.#write({ status: 'detached', cause, retryIn });
  }

  async #end(): Promise<CloseReport> {
    this.#until?.unsubscribe();
    this.#pausing?.unsubscribe();
    const attachment = this.#retire();
    this.#showsDraining = true;
    if (attachment) void this.#draining.add(attachment);
    else if (this.#draining.size > 0) this.#write({ status: 'draining', unsettled: this.#draining.unsettled });
    // With nothing to wait for it ends synchronously, within the caller's `close` or `unsubscribe`.
    const unsettled = this.#draining.size > 0 ? await this.#draining.end() : 0;
    this.#stop(this.#cause);
    return { unsettled, unconfirmed: 0 };
  }

  #stop(cause?: InstanceQueueError): void {
    this.#unregister();
    this.#stream?.report();
    const stopped: ConsumerState = Object.freeze(cause ? { status: 'stopped', cause } : { status: 'stopped' });
    this.#state.end(stopped);
    this.#tell(stopped);
    if (cause) this.#subscriber.error(cause);
    else this.#subscriber.complete();
  }

  #fail(cause: InstanceQueueError): void {
    if (this.#ending) return;
    this.#ending = Promise.resolve(NOTHING_LEFT);
    this.#until?.unsubscribe();
    this.#pausing?.unsubscribe();
    this.#reopening.stop();
    this.#core.log.error({ queue: this.#options.queueName, err: cause }, 'consumer stopped');
    this.#stop(cause);
  }

  #write(state: ConsumerState): void {
    this.#state.next(Object.freeze(state));
    this.#tell(state);
  }

  #tell(state: ConsumerState): void {
    tellState({ of: 'consumer', connection: this.#core.name, queue: this.#options.queueName, state });
  }
}

/** Ends a consumer that has never attached: a refusal that will not go away by itself. */
const isFatal = (error: InstanceQueueError, { spec }: Pick<ResolvedConsumeOptions<unknown>, 'spec'>): boolean =>
  (error instanceof ChannelError && !error.retryable) || (error.replyCode === 404 && spec?.passive === true);
