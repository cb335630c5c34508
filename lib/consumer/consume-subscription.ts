import { concatMap, from, ignoreElements, take } from 'rxjs';
import type { Observable, ObservableInput, Subscriber, Subscription } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { type CloseReport, Closing, type Member } from '../connection/member';
import { tellState } from '../diagnostics';
import { isInstanceQueueError, type InstanceQueueError } from '../errors';
import { StateSubject } from '../reactive/state-subject';
import { AttachLoop } from './attach-loop';
import { pauseFailed, pauses, type ResolvedConsumeOptions } from './consume-options';
import type { ConsumerChannel } from './consumer-channel';
import type { Backlog, ConsumerState } from './consumer-state';
import type { Delivery, Message } from './delivery';
import type { Undecodable } from './delivery-decoder';
import { Draining } from './draining';

const NOTHING_LEFT: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** One subscription of `consume()`: attaches on each link of its connection, and drains at the end. */
export class ConsumeSubscription<T> implements Member {
  readonly direction = 'inbound';
  readonly #core: ConnectionCore;
  readonly #options: ResolvedConsumeOptions<T>;
  readonly #subscriber: Subscriber<Delivery<T>>;
  readonly #state = new StateSubject<ConsumerState>(Object.freeze({ status: 'detached' }));
  readonly #unregister: () => void;
  #loop: Subscription | undefined;
  #until: Subscription | undefined;
  #pausing: Subscription | undefined;
  readonly #attaching: AttachLoop<T>;
  readonly #closing = new Closing(
    () => this.#end(),
    () => {
      this.#draining.force();
    },
  );
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
    this.#attaching = new AttachLoop(core, options, subscriber, {
      attached: (facts) => {
        this.#write({ status: 'attached', ...facts });
      },
      detached: (cause, retryIn) => {
        this.#detached(cause, retryIn);
      },
    });
    this.#tell(this.state);
    this.#unregister = core.register(this);
  }

  /** The queue that was asked for, by its name. */
  get queueName(): string {
    return this.#options.queueName;
  }
  /** Is it a consumer that the caller asked for, and no part of another one? */
  get ofCaller(): boolean {
    return this.#options.partition === undefined && this.#options.internal !== true;
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
    return this.#attaching.lost$;
  }
  /** Hot. Emits: each message that the codec could not decode. Completes: never. */
  get undecodable$(): Observable<Undecodable> {
    return this.#attaching.undecodable$;
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
    if (options.until !== undefined && !this.#closing.begun) {
      const end = (): void => {
        void this.close(core.drainTimeout);
      };
      this.#until = from(options.until).pipe(take(1)).subscribe({ next: end, error: end, complete: end });
    }
  }

  /** Undefined while detached. */
  get backlog(): Backlog | undefined {
    return this.#attaching.present?.backlog;
  }

  /** Cancels, drains for at most `within` ms, completes. A later call may shorten the time that is left, not extend it. */
  close(within: number): Promise<CloseReport> {
    return this.#closing.within(within);
  }

  /** Follows `pause`. Values that it emits on subscribe only decide how the loop starts. */
  #followPause(pause: ObservableInput<boolean>): void {
    this.#pausing = pauses(pause).subscribe({
      next: (paused) => {
        const changed = paused !== this.#paused;
        this.#paused = paused;
        if (!changed || !this.#loop || this.#closing.begun) return;
        if (paused) this.#detach();
        else this.#attach();
      },
      error: (error: unknown) => {
        if (this.#closing.begun) return;
        this.#cause = pauseFailed(this.#options.queueName, error);
        this.#core.log.error({ queue: this.#options.queueName, err: this.#cause }, 'consumer stopped');
        // The error unsubscribes, and that drains.
        this.#subscriber.error(this.#cause);
      },
    });
    if (this.#closing.begun) this.#pausing.unsubscribe();
  }

  /** Attaches on each link, until paused or ended. */
  #attach(): void {
    const attached$ = this.#attaching.run();
    const before = this.#pauseDone;
    // An exclusive consumer is refused until the broker has cancelled the one before.
    this.#run(before ? from(before).pipe(concatMap(() => attached$)) : attached$);
    if (before && !this.#paused && !this.#closing.begun) this.#write({ status: 'detached' });
  }

  /** Pauses: cancels the consumer, and closes its channel when everything it handed out is settled. */
  #detach(): void {
    const attachment = this.#retire();
    if (attachment) {
      const cancelled = this.#draining.add(attachment);
      // The next attach to a stream resumes at the first open message, and would hand it out a second time.
      this.#pauseDone = this.#attaching.isStream ? this.#draining.end() : cancelled;
    } else this.#pauseDone ??= Promise.resolve();
    this.#run(this.#core.up$.pipe(ignoreElements()));
    if (!this.#paused || this.#closing.begun) return;
    this.#core.log.info({ queue: this.#options.queueName }, 'consumer paused');
    this.#write({ status: 'paused' });
  }

  /** Attaches no more. Returns the attachment that has to be waited for, if there is one. */
  #retire(): ConsumerChannel | undefined {
    const attachment = this.#attaching.retire();
    this.#loop?.unsubscribe();
    return attachment;
  }

  #run(work$: Observable<unknown>): void {
    this.#loop?.unsubscribe();
    this.#loop = work$.subscribe({
      error: (error: unknown) => {
        this.#fail(isInstanceQueueError(error) ? error : this.#core.closedError());
      },
      complete: () => {
        if (!this.#closing.begun) this.#fail(this.#core.closedError());
      },
    });
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
    this.#attaching.stop();
    const stopped: ConsumerState = Object.freeze(cause ? { status: 'stopped', cause } : { status: 'stopped' });
    this.#state.end(stopped);
    this.#tell(stopped);
    if (cause) this.#subscriber.error(cause);
    else this.#subscriber.complete();
  }

  #fail(cause: InstanceQueueError): void {
    if (this.#closing.begun) return;
    this.#closing.ended(NOTHING_LEFT);
    this.#until?.unsubscribe();
    this.#pausing?.unsubscribe();
    this.#core.log.error({ queue: this.#options.queueName, err: cause }, 'consumer stopped');
    this.#stop(cause);
  }

  #write(state: ConsumerState): void {
    this.#state.next(Object.freeze(state));
    this.#tell(state);
  }

  #tell(state: ConsumerState): void {
    if (this.#options.internal === true) return;
    tellState({ of: 'consumer', connection: this.#core.name, queue: this.#options.queueName, state });
  }
}
