import type { InstanceQueue, QueueSpec, Topology } from 'instance-queue';
import type { Universe } from '../../lib/testing/simulation/universe';
import { AppConsumer } from './app-consumers';
import { produce } from './app-producers';
import { EXCHANGE } from './body';
import { lookAfterLetters } from './app-letters';
import { AppPartitions } from './app-partitions';
import { AppReader } from './app-readers';
import { request } from './app-requests';
import { AppRun } from './app-run';
import type { Oracle } from './oracle';
import { DEAD, MOVED, type Plan } from './plan';

/** A service that a plan describes: it runs on the library as an app would. */
export class SimulatedApp {
  readonly client: InstanceQueue;
  partitions: AppPartitions | undefined;
  readonly #plan: Plan;
  readonly #run: AppRun;

  constructor(universe: Universe, plan: Plan, oracle: Oracle) {
    this.#plan = plan;
    const exchanges: Topology['exchanges'] = [{ name: EXCHANGE, type: 'topic' }];
    const bindingOf = ({ name }: QueueSpec) => ({ exchange: EXCHANGE, queue: name, routingKey: `${name}.#` });
    const foreign = plan.foreign && plan.queues[plan.foreign.queue];
    if (foreign) {
      universe.broker.declare({ exchanges, queues: [{ name: DEAD }, foreign], bindings: [bindingOf(foreign)] });
      oracle.options.madeByOthers();
    }
    const own = plan.queues.filter((spec) => spec !== foreign);
    const topology: Topology = {
      exchanges,
      queues: [...own, { name: DEAD }, { name: MOVED }],
      bindings: own.map(bindingOf),
    };
    this.client = universe.connect({
      topology,
      reconnect: { min: 50, max: 2000 },
      reopen: { min: 50, max: 2000 },
      drainTimeout: plan.drainTimeout,
      logger: 'silent',
    });
    oracle.watch(this.client);
    this.#run = new AppRun(universe, plan, oracle, this.client);
  }

  /** Starts everything that the plan has; resolves when every producer and requester is done. */
  async run(): Promise<void> {
    const { producers, consumers, requesters, readers = [], partitions } = this.#plan;
    for (const letters of this.#plan.letters ?? []) lookAfterLetters(this.#run, letters);
    if (partitions) this.partitions = new AppPartitions(this.#run, partitions);
    consumers.forEach((consumer, i) => {
      this.#run.at(consumer.at, () => {
        new AppConsumer(this.#run, consumer, i).start();
      });
    });
    readers.forEach((reader, i) => {
      this.#run.at(reader.at, () => {
        new AppReader(this.#run, reader, i).start();
      });
    });
    await Promise.all([
      ...producers.map((producer, i) => produce(this.#run, producer, i)),
      ...requesters.map((requester, i) => request(this.#run, requester, 100 + i)),
      this.partitions?.send(),
    ]);
  }

  /** Nothing is started any more. */
  end(): void {
    this.#run.end();
  }

  /** Resolves when each send has settled. */
  settled(): Promise<void> {
    return this.#run.settled();
  }
}
