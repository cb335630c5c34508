import { filter, firstValueFrom, interval, map, merge, startWith, throwError, timeout } from 'rxjs';
import type { InstanceQueueOptions } from '../client/instance-queue-options';
import { InstanceQueue } from '../client/instance-queue';
import { MemoryBroker } from './memory-broker';

/** What a real one takes, but for how to reach a broker. */
export interface FakeInstanceQueueOptions extends Omit<InstanceQueueOptions, 'url' | 'tls' | 'wire' | 'heartbeat'> {
  /** The broker it is connected to: one for several, as for several services. @default one of its own */
  readonly broker?: MemoryBroker;
}

const NOWHERE = 'amqp://in-memory';
/** ms between two looks at whether it is at rest, where nothing tells of a change. */
const LOOK_EVERY = 5;

/**
 * An `InstanceQueue` whose broker lives in memory: for tests of what an app does with its messages. It is the real one in
 * everything but the network, and does what it would do: validates, encodes, declares, confirms, sends again, retries,
 * reconnects, drains. Made, used and closed without a broker; all its waiting is by timers, so that fake ones reach it.
 *
 * @example
 * await using queue = new FakeInstanceQueue();
 * startShipping(queue);
 * await queue.send({ queue: 'orders', body: { id: 1 } });
 * await queue.rest();
 * expect(queue.broker.messages('shipped')).toMatchObject([{ body: { id: 1 } }]);
 */
export class FakeInstanceQueue extends InstanceQueue {
  /** The broker behind it: its commands and its views. */
  readonly broker: MemoryBroker;

  /** @throws OptionsError if an option cannot be right */
  constructor({ broker = new MemoryBroker(), ...options }: FakeInstanceQueueOptions = {}) {
    // A test that takes the broker away for a while means it.
    super({ logger: 'silent', ...options, url: NOWHERE }, broker.transport);
    this.broker = broker;
  }

  /**
   * Resolves when there is nothing left to do: what was sent is confirmed or rejected, every consumer is attached, what was
   * delivered is settled, and nothing waits in a queue that somebody consumes from. Messages that wait for a time of their
   * own (a `retry`) do not count. Rejects: Error, when it is not so `within` ms; it says what is under way. Its time is that
   * of RxJS, too: a test that holds the clock moves it instead of resting.
   */
  async rest(within = 5000): Promise<void> {
    const underWay$ = merge(this.broker.changed$, this.health$, interval(LOOK_EVERY)).pipe(
      startWith(undefined),
      map(() => this.#underWay()),
    );
    let last: string | undefined;
    await firstValueFrom(
      underWay$.pipe(
        filter((underWay) => (last = underWay) === undefined),
        timeout({
          first: within,
          with: () => throwError(() => new Error(`Not at rest within ${String(within)} ms: ${last ?? ''} under way.`)),
        }),
      ),
    );
  }

  #underWay(): string | undefined {
    const { outbox, inFlight } = this.metrics;
    if (outbox.queued + outbox.unconfirmed > 0)
      return `${String(outbox.queued + outbox.unconfirmed)} messages to be sent`;
    if (inFlight > 0) return `work on ${String(inFlight)} messages`;
    const detached = this.health.consumers.find(({ status }) => status === 'detached');
    return detached ? `the consumer of \`${detached.queueName}\`` : this.broker.underWay;
  }
}
