import { firstValueFrom, ReplaySubject } from 'rxjs';
import type { DeliveryChannel } from '../consumer/channel-delivery';
import type { Settlement } from '../consumer/delivery';
import type { InstanceQueueError } from '../errors';
import { loggerFrom } from '../log';
import { DEFAULTS } from '../options';

/** The channel of one fake delivery: it writes down what is asked of it. */
export class FakeChannel implements DeliveryChannel {
  readonly prefetch = DEFAULTS.prefetch;
  readonly log = loggerFrom(undefined, {});
  readonly calls: Settlement[] = [];
  readonly #settlement = new ReplaySubject<Settlement | 'lost'>(1);
  readonly #listeners = new Set<() => void>();
  #draining = false;
  #ended = false;
  #cause: InstanceQueueError | undefined;

  constructor(readonly queue: string) {}

  get draining(): boolean {
    return this.#draining;
  }
  get ended(): boolean {
    return this.#ended;
  }
  get cause(): InstanceQueueError | undefined {
    return this.#cause;
  }
  get settlement(): Promise<Settlement | 'lost'> {
    return firstValueFrom(this.#settlement);
  }

  watch(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  settle(_tag: number, how: Settlement): boolean {
    this.calls.push(how);
    if (this.#ended) return false;
    this.#settlement.next(how);
    this.#settlement.complete();
    return true;
  }

  stale(_settled: Settlement | 'lost', how: Settlement): void {
    this.calls.push(how);
  }

  /** `false`: it had ended before. */
  end(cause?: InstanceQueueError): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.#cause = cause;
    this.#settlement.next('lost');
    this.#settlement.complete();
    return true;
  }

  drain(): void {
    this.#draining = true;
    this.tell();
  }

  tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
