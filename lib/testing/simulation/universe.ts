import type { InstanceQueue } from '../../client/instance-queue';
import { FakeInstanceQueue, type FakeInstanceQueueOptions } from '../fake-instance-queue';
import { MemoryBroker } from '../memory-broker';
import type { BrokerTransport, TransportHost } from '../memory/memory-transport';
import { endOf, inflict, type Fault, type FaultyNetwork } from './faults';
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
  /** Between clients and the broker; absent: one at the transport port. */
  readonly network?: (host: TransportHost, random: Random, latency: Latency) => BrokerTransport & FaultyNetwork;
  /** Makes a client; absent: one whose transport is the network. */
  readonly client?: (options: Omit<FakeInstanceQueueOptions, 'broker'>) => InstanceQueue;
  /** What else happens. */
  readonly happenings?: readonly Happening[];
}

/** Something that happens at one moment, and is over at another; both in ms from the start. */
export interface Happening {
  readonly at: number;
  readonly until: number;
  /** For the timeline. */
  readonly what: string;
  readonly begin: () => void;
}

/** Messages that a filter of a stream passes together. */
const CHUNK = 3;
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
  readonly #happenings: readonly Happening[];
  readonly #client: NonNullable<UniverseOptions['client']>;
  readonly #clients: InstanceQueue[] = [];
  readonly #events: { readonly at: number; readonly what: string }[] = [];

  /** @internal */
  constructor(world: World, seed: number, options: UniverseOptions) {
    const { faults, latency = { least: 0.2, most: 6 }, version, happenings = [] } = options;
    const create: NonNullable<UniverseOptions['network']> =
      options.network ?? ((host, random) => new SimulatedTransport(host, random, latency));
    this.#world = world;
    let network: FaultyNetwork | undefined;
    this.broker = new MemoryBroker({
      ...(version !== undefined && { version }),
      chunk: CHUNK,
      transport: (host) => {
        const created = create(host, new Random(seed ^ 0x2545f491), latency);
        network = created;
        return created;
      },
    });
    if (!network) throw new Error('The broker did not ask for its transport.');
    const faulty: FaultyNetwork = network;
    this.#client = options.client ?? ((given) => new FakeInstanceQueue({ ...given, broker: this.broker }));
    const ofFault = (fault: Fault): Happening => ({
      at: fault.at,
      until: endOf(fault),
      what: described(fault),
      begin: () => {
        inflict(fault, this.broker, faulty);
      },
    });
    this.#happenings = [...faults.map(ofFault), ...happenings];
    for (const { at, what, begin } of this.#happenings) {
      world.after(at, () => {
        this.note(`fault: ${what}`);
        begin();
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
    return Math.max(0, ...this.#happenings.map(({ until }) => until));
  }
  /** What happened, with times. */
  get timeline(): readonly string[] {
    // Few are ever read.
    return this.#events.map(({ at, what }) => `${at.toFixed(1).padStart(10)} ms  ${what}`);
  }

  /** An `InstanceQueue` that is connected to the broker of this universe. It is closed at the end. */
  connect(options: Omit<FakeInstanceQueueOptions, 'broker'> = {}): InstanceQueue {
    const client = this.#client(options);
    this.#clients.push(client);
    return client;
  }

  /** Adds a line to the timeline that is shown for a seed that failed. */
  note(event: string): void {
    this.#events.push({ at: this.#world.now, what: event });
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

/** A fault in words: `kind cut, direction toBroker, after 3`. */
export const described = (fault: object): string =>
  Object.entries(fault)
    .filter(([name]) => name !== 'at')
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');

function whatIsUnderWay(client: InstanceQueue): string | undefined {
  const { outbox, inFlight } = client.metrics;
  if (outbox.queued + outbox.unconfirmed > 0)
    return `${String(outbox.queued + outbox.unconfirmed)} messages are not confirmed`;
  if (inFlight > 0) return `${String(inFlight)} deliveries are not settled`;
  const detached = client.health.consumers.find(({ status }) => status === 'detached');
  return detached && `the consumer of \`${detached.queueName}\` is not attached`;
}
