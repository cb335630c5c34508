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
import { Intake, type Undecodable } from './intake';
import { pauseFailed, pauses } from './pausing';
import { QueueCheck } from './queue-check';
import type { ResolvedConsumeOptions } from './consume-options';
import { StreamChannel } from './stream/stream-channel';
import { StreamReader } from './stream/stream-reader';

const NOTHING_LEFT: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** One subscription of `consume()`: attaches on every link, drains at the end. */
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
  #attachment: ConsumerChannel | undefined;
  readonly #intake: Intake<T>;
  readonly #reopening: Reopening;
  readonly #check: QueueCheck;
  readonly #stream: StreamReader | undefined;
  #ending: Promise<CloseReport> | undefined;
  /** Why it ends, if that is not what the subscriber wanted. */
  #cause: InstanceQueueError | undefined;
  #paused = false;
  /** The broker knows of the last pause, and (of a stream) what was open then is settled. */
  #cancelled: Promise<unknown> | undefined;
  #telling = false;
  readonly #draining = new Draining(() => {
    if (this.#telling) this.#write({ status: 'draining', unsettled: this.#draining.unsettled });
  });

  constructor(core: ConnectionCore, options: ResolvedConsumeOptions<T>, subscriber: Subscriber<Delivery<T>>) {
    this.#core = core;
    this.#options = options;
    this.#subscriber = subscriber;
    this.#intake = new Intake(core, options, subscriber);
    this.#reopening = new Reopening(core, {
      what: `on queue \`${options.queueName}\``,
      isFatal: (error) => isFatal(error, options),
      waiting: (cause, retryIn) => {
        this.#detached(cause, retryIn);
      },
      rehearse: (link) => rehearseAttach(link, options),
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
  /** Hot. Emits: each delivery whose channel went before it was settled. Completes: never. */
  get lost$(): Observable<Message<unknown>> {
    return this.#lost;
  }
  /** Hot. Emits: each message that the codec could not read. Completes: never. */
  get undecodable$(): Observable<Undecodable> {
    return this.#intake.undecodable$;
  }

  /** Attaches as soon as there is a link. Called once, when everyone who follows the state does. */
  start(): void {
    const core = this.#core;
    const options = this.#options;
    if (core.state.status === 'closing' || core.state.status === 'closed') {
      this.#fail(core.closedError());
      return;
    }
    core.open();
    if (options.pause !== undefined) this.#obey(options.pause);
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
    return this.#attachment?.backlog;
  }

  /** Cancels, drains for at most `within` ms, completes. Each call may shorten the time that is left. */
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

  /** From the first value on; before the loop runs it only says where to begin. */
  #obey(pause: ObservableInput<boolean>): void {
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
        // Unsubscribes, which drains.
        this.#subscriber.error(this.#cause);
      },
    });
    if (this.#ending) this.#pausing.unsubscribe();
  }

  /** On every link, until paused or ended. */
  #attach(): void {
    const attached$ = this.#core.up$.pipe(
      filter((up) => up !== undefined),
      switchMap((up) => this.#attachOn(up)),
    );
    const before = this.#cancelled;
    // An exclusive consumer must be known to be gone before the next one asks.
    this.#follow(before ? from(before).pipe(concatMap(() => attached$)) : attached$);
    if (before && !this.#paused && !this.#ending) this.#write({ status: 'detached' });
  }

  /** Paused: what is attached gets nothing new, and goes when all of it is settled. */
  #detach(): void {
    const attachment = this.#retire();
    if (attachment) {
      const cancelled = this.#draining.add(attachment);
      // What is open in a stream would be read again beside it.
      this.#cancelled = this.#stream ? this.#draining.end() : cancelled;
    } else this.#cancelled ??= Promise.resolve();
    this.#follow(this.#core.up$.pipe(ignoreElements()));
    if (!this.#paused || this.#ending) return;
    this.#core.log.info({ queue: this.#options.queueName }, 'consumer paused');
    this.#write({ status: 'paused' });
  }

  /** Ends the loop, and hands over what is attached and still has a channel. */
  #retire(): ConsumerChannel | undefined {
    const attachment = this.#attachment;
    this.#attachment = undefined;
    this.#reopening.stop();
    // Before the loop ends: an attach that is not drained takes its channel with it.
    if (attachment?.ended === false) attachment.drain();
    this.#loop?.unsubscribe();
    return attachment?.ended === false ? attachment : undefined;
  }

  #follow(work$: Observable<unknown>): void {
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
      const attached$ = attach(up.link, options, (attached) => this.#onAttached(up.epoch, attached));
      // Looking takes a channel of its own, which costs everyone the connection where channels are limited.
      const look = async (queue: string) => (this.#core.channelsLimited ? 'there' : await up.link.check(queue));
      const forgotten$ = this.#check.watch(look, () => this.#attachment?.queue);
      return merge(attached$, forgotten$).pipe(
        tap({
          error: (error: unknown) => {
            if (isInstanceQueueError(error)) this.#attachFailed(error);
          },
        }),
      );
    });
  }

  #onAttached(epoch: number, attached: Attached): AttachListener {
    const { channel, tag, queue } = attached;
    const { prefetch } = this.#options;
    const { counters, log } = this.#core;
    const lost = (message: Message<unknown>): void => {
      this.#lost.next(message);
    };
    const options = { channel, queue, tag, epoch, prefetch, counters, log, lost };
    const attachment = this.#stream
      ? new StreamChannel(options, this.#stream, (one, raw, place) => {
          this.#intake.take(one, raw, place);
        })
      : new ConsumerChannel(options);
    channel.ended$.subscribe((error) => {
      attachment.end(error);
    });
    this.#attachment = attachment;
    // After a pause nothing was lost.
    if (this.#reopening.everOpened && this.#cancelled === undefined) counters.reopens++;
    this.#cancelled = undefined;
    this.#reopening.opened();
    log.info({ queue, tag, epoch }, 'consumer attached');
    this.#write({ status: 'attached', tag, queue, epoch });
    this.#stream?.attached();
    return {
      message: (message) => {
        this.#check.heard();
        const { overdrawn } = attachment;
        if (overdrawn) return overdrawn;
        if (attachment instanceof StreamChannel) attachment.take(message);
        else this.#intake.take(attachment, message);
        return undefined;
      },
      cancelled: () => {
        this.#check.heard();
        attachment.abandon();
      },
    };
  }

  /** A step of attaching was refused, the channel ended, or the broker cancelled. */
  #attachFailed(error: InstanceQueueError): void {
    this.#attachment?.abandon(error);
    this.#attachment = undefined;
    // Where nothing is declared, only `basic.consume` can find the queue missing.
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
    this.#telling = true;
    if (attachment) void this.#draining.add(attachment);
    else if (this.#draining.size > 0) this.#write({ status: 'draining', unsettled: this.#draining.unsettled });
    // Nothing to wait for: then whoever ends it hears of the end at once.
    const unsettled = this.#draining.size > 0 ? await this.#draining.end() : 0;
    this.#stop(this.#cause);
    return { unsettled, unconfirmed: 0 };
  }

  #stop(cause?: InstanceQueueError): void {
    this.#unregister();
    this.#stream?.tell();
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

/** Strict first: a first attach fails on what cannot mend itself. */
const isFatal = (error: InstanceQueueError, { spec }: Pick<ResolvedConsumeOptions<unknown>, 'spec'>): boolean =>
  (error instanceof ChannelError && !error.retryable) || (error.replyCode === 404 && spec?.passive === true);
