import { EMPTY, asapScheduler, mergeMap, timer, type Observable, type Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseAttribution } from '../connection/close-attribution';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Link } from '../transport/transport';
import type { ConsumerState } from './consumer-state';
import type { ResolvedConsumeOptions } from './consume-options';

/** When a consumer attaches again after it failed to, or was detached: how often it failed, how long it waits. */
export class Reattaching {
  readonly #core: Pick<ConnectionCore, 'reopen' | 'log'>;
  readonly #options: Pick<ResolvedConsumeOptions<unknown>, 'queueName' | 'spec'>;
  readonly #tell: (state: ConsumerState) => void;
  #stability: Subscription | undefined;
  #everAttached = false;
  /** Failures since the last stable attach; it sets how long the next try waits. */
  #growth = 0;
  /** Failures since the last attach of any length. */
  #failures = 0;

  constructor(
    core: Pick<ConnectionCore, 'reopen' | 'log'>,
    options: Pick<ResolvedConsumeOptions<unknown>, 'queueName' | 'spec'>,
    tell: (state: ConsumerState) => void,
  ) {
    this.#core = core;
    this.#options = options;
    this.#tell = tell;
  }

  /** Did it ever succeed? */
  get everAttached(): boolean {
    return this.#everAttached;
  }

  attached(): void {
    this.#everAttached = true;
    this.#failures = 0;
    this.#stability?.unsubscribe();
    this.#stability = timer(this.#core.reopen.stableAfter).subscribe(() => {
      this.#growth = 0;
    });
  }

  /** It is attached no longer: it cannot become stable. */
  stop(): void {
    this.#stability?.unsubscribe();
  }

  /**
   * Cold. Emits: when it is time to try again on this link. Completes: without emitting when the link is gone.
   * Errors: when it is no use to try again.
   */
  after(
    link: Link,
    error: InstanceQueueError,
    wasAttached: boolean,
    attribution: CloseAttribution,
  ): Observable<unknown> {
    this.stop();
    // A loss is told by channel, connection and state one after the other: judge it when all have spoken.
    return timer(0, asapScheduler).pipe(
      mergeMap(() => {
        // Also when it does not matter: others may wait for the end of this one's turn.
        const guilty = attribution.guilty(link, error);
        if (!this.#everAttached && guilty && this.#isFatal(error)) throw error;
        if (link.lost) {
          this.#tell({ status: 'detached', cause: isFinal(error) ? error : link.lost });
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
        this.#tell({ status: 'detached', cause: error, retryIn: delay });
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
}

const isFinal = (error: InstanceQueueError): boolean => error instanceof ChannelError && !error.retryable;
