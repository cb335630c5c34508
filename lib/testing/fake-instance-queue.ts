import { firstValueFrom, merge, Observable, skip } from 'rxjs';
import { InstanceQueue } from '../client/instance-queue';
import type { InstanceQueueOptions } from '../client/instance-queue-options';
import { MemoryBroker } from './memory-broker';

/** The options of an `InstanceQueue` without those for reaching a broker. */
export interface FakeInstanceQueueOptions extends Omit<InstanceQueueOptions, 'url' | 'tls' | 'wire' | 'heartbeat'> {
  /** The broker it connects to. Give several the same one, like services that share a broker. @default one of its own */
  readonly broker?: MemoryBroker;
}

const NOWHERE = 'amqp://in-memory';
/** ms; less than what Jest and Vitest give a test, so that the error is seen. */
const REST_WITHIN = 4000;
/** ms between two looks for what no event announces. */
const LOOK_EVERY = 5;

/** The clock as it was when this file was loaded: `rest` has to wait while fake timers hold the global one. */
const { setTimeout: startTimer, clearTimeout: stopTimer } = globalThis;
const now = performance.now.bind(performance);

/**
 * An `InstanceQueue` whose broker lives in memory: for tests of what an app does with its messages. Everything but the
 * network is the real thing: it checks options, encodes, declares, confirms, sends again, retries, reconnects, drains. It waits
 * by timers alone, so that a test can move the clock instead of waiting.
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
   * Resolves when nothing is left to do: every message sent is confirmed or rejected, every consumer attached, every delivery
   * settled, and no message waits in a queue that has consumers. Messages that wait for their time (a `retry`) do not count.
   * It waits in real time, also while a test holds the clock; what needs a timer then has to be moved on by the test.
   * Rejects: Error, when that takes longer than `within` ms (@default 4000); it says what is under way.
   */
  async rest(within = REST_WITHIN): Promise<void> {
    const deadline = now() + within;
    const look$ = new Observable<void>((subscriber) => {
      const timer = startTimer(() => {
        subscriber.next();
      }, LOOK_EVERY);
      return () => {
        stopTimer(timer);
      };
    });
    for (let underWay = this.#underWay(); underWay !== undefined; underWay = this.#underWay()) {
      if (now() >= deadline) {
        const hint =
          globalThis.setTimeout === startTimer ? '' : ' The clock is held: move it, for what waits for a timer.';
        throw new Error(`Not at rest within ${String(within)} ms: ${underWay} under way.${hint}`);
      }
      await firstValueFrom(merge(this.broker.changed$, this.health$.pipe(skip(1)), look$), { defaultValue: undefined });
    }
  }

  #underWay(): string | undefined {
    const { outbox, inFlight } = this.metrics;
    const sends = outbox.queued + outbox.unconfirmed;
    if (sends > 0) return `sending ${counted(sends)}`;
    if (inFlight > 0) return `work on ${counted(inFlight)}`;
    for (const consumer of this.health.consumers) {
      if (consumer.status === 'detached') {
        const why = consumer.cause ? ` (${consumer.cause.message})` : '';
        return `attaching the consumer of \`${consumer.queueName}\`${why}`;
      }
    }
    return this.broker.underWay;
  }
}

const counted = (messages: number): string => `${String(messages)} message${messages === 1 ? '' : 's'}`;
