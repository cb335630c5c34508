import type { InstanceQueue } from '../../client/instance-queue';
import { FakeInstanceQueue, type FakeInstanceQueueOptions } from '../fake-instance-queue';
import { MemoryBroker } from '../memory-broker';
import { endOf, inflict, type Fault } from './faults';
import { Random } from './random';
import { SimulatedTransport } from './simulated-transport';
import type { Latency } from './simulated-line';
import type { World } from './world';

/** What a universe is made from. */
export interface UniverseOptions {
  readonly faults: readonly Fault[];
  readonly latency?: Latency;
  /** Of the RabbitMQ that the broker behaves like; absent: the latest that is known. */
  readonly version?: string;
}

/** ms between two looks at whether all is calm. */
const LOOK_EVERY = 250;

/**
 * One run of `simulate`: a broker in memory, a network with faults, and simulated time.
 *
 * @example
 * await simulate(async (universe) => {
 *   const queue = universe.connect();
 *   await queue.send({ queue: 'orders', body: { id: 1 } });
 *   await universe.calm();
 *   expect(universe.broker.messages('orders')).toHaveLength(1);
 * });
 */
export class Universe {
  /** What the broker holds; its commands work as in a test without faults. */
  readonly broker: MemoryBroker;
  readonly #world: World;
  readonly #transport: SimulatedTransport;
  readonly #faults: readonly Fault[];
  readonly #clients: FakeInstanceQueue[] = [];
  readonly #events: string[] = [];

  /** @internal */
  constructor(world: World, seed: number, { faults, latency = { least: 0.2, most: 6 }, version }: UniverseOptions) {
    this.#world = world;
    this.#faults = faults;
    let transport: SimulatedTransport | undefined;
    this.broker = new MemoryBroker({
      ...(version !== undefined && { version }),
      transport: (host) => (transport = new SimulatedTransport(host, new Random(seed ^ 0x2545f491), latency)),
    });
    if (!transport) throw new Error('The broker did not ask for its transport.');
    this.#transport = transport;
    for (const fault of faults) {
      world.after(fault.at, () => {
        this.note(
          `fault: ${Object.entries(fault)
            .filter(([name]) => name !== 'at')
            .map(([name, value]) => `${name} ${String(value)}`)
            .join(', ')}`,
        );
        inflict(fault, this.broker, this.#transport);
      });
    }
  }

  /** ms of simulated time since the start. */
  get now(): number {
    return this.#world.now;
  }
  /** A number from 0 to 1, of this seed. */
  random(): number {
    return this.#world.random.next();
  }
  /** The last fault is over. */
  get faultsOver(): number {
    return Math.max(0, ...this.#faults.map(endOf));
  }
  /** What happened, with times. */
  get timeline(): readonly string[] {
    return this.#events;
  }

  /** An `InstanceQueue` that is connected to the broker of this universe. It is closed at the end. */
  connect(options: Omit<FakeInstanceQueueOptions, 'broker'> = {}): InstanceQueue {
    const client = new FakeInstanceQueue({ ...options, broker: this.broker });
    this.#clients.push(client);
    return client;
  }

  /** Adds a line to the timeline that is shown for a seed that failed. */
  note(event: string): void {
    this.#events.push(`${this.#world.now.toFixed(1).padStart(10)} ms  ${event}`);
  }

  /** Resolves after `ms` of simulated time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#world.after(ms, resolve);
    });
  }

  /**
   * Resolves when the faults are over and nothing is left to do: every message sent is settled, every consumer attached, and no
   * message waits in a queue that has consumers. Rejects: Error, when that takes longer than `within` ms of simulated time.
   */
  async calm(within = 120_000): Promise<void> {
    await this.sleep(Math.max(0, this.faultsOver - this.now));
    const deadline = this.now + within;
    for (;;) {
      await this.sleep(LOOK_EVERY);
      const busy = this.#clients.map(whatIsUnderWay).find((one) => one !== undefined) ?? this.broker.underWay;
      if (busy === undefined) return;
      if (this.now >= deadline) throw new Error(`Not calm ${String(within)} ms after the last fault: ${busy}.`);
    }
  }

  /** @internal Closes every client. */
  async end(): Promise<void> {
    await this.sleep(Math.max(0, this.faultsOver - this.now));
    await Promise.all(this.#clients.map((client) => client.close()));
  }
}

function whatIsUnderWay(client: InstanceQueue): string | undefined {
  const { outbox, inFlight } = client.metrics;
  if (outbox.queued + outbox.unconfirmed > 0)
    return `${String(outbox.queued + outbox.unconfirmed)} messages are not confirmed`;
  if (inFlight > 0) return `${String(inFlight)} deliveries are not settled`;
  const detached = client.health.consumers.find(({ status }) => status === 'detached');
  return detached && `the consumer of \`${detached.queueName}\` is not attached`;
}
