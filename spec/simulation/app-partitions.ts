import {
  handle,
  InstanceQueueError,
  PublishError,
  type InstanceQueue,
  type Partitioned,
  type Worker,
} from 'instance-queue';
import type { Subscription } from 'rxjs';
import type { AppRun } from './app-run';
import type { Body } from './body';
import { isFaultless, type PartitionsPlan } from './plan';

const NAME = 'parts';
/** ms in which what has stopped is gone from the broker. */
const STOPPED = 1000;

/** One process that consumes from the partitions. */
interface Member {
  readonly client: InstanceQueue;
  readonly queue: Partitioned<Body>;
  readonly subscription: Subscription;
  stopped: boolean;
}

/** A partitioned queue: one process sends to it, and several share the work, come and leave. */
export class AppPartitions {
  readonly #app: AppRun;
  readonly #plan: PartitionsPlan;
  readonly #members = new Set<Member>();
  /** Per key: the message that was begun last. */
  readonly #begun = new Map<number, number>();
  readonly #seen = new Set<number>();
  readonly #running = new Map<number, number>();
  #partitions: number;

  constructor(app: AppRun, plan: PartitionsPlan) {
    this.#app = app;
    this.#plan = plan;
    this.#partitions = plan.partitions;
    plan.members.forEach(({ at, leavesAt }, i) => {
      app.at(at, () => {
        const member = this.#join(i);
        if (leavesAt === undefined) return;
        app.at(leavesAt, () => void this.#leave(member));
      });
    });
  }

  /** Sends everything; resolves when all of it has settled. */
  async send(): Promise<void> {
    await this.#app.universe.sleep(this.#plan.at);
    await this.#send(this.#plan.messages);
  }

  async #send(messages: number): Promise<void> {
    const { universe, oracle, client } = this.#app;
    const { every, keys } = this.#plan;
    const queue = client.partitioned<Body>({ name: NAME, partitions: this.#partitions });
    for (let i = 0; i < messages && !this.#app.isOver(); i++) {
      const key = (i * 31) % keys;
      // The order is that of each key: to the oracle each is a producer of its own.
      const body = this.#app.body(200 + key, key);
      oracle.sends.sends(body, undefined);
      const sending = queue.send({ key: String(body.key), body }).then(
        (confirmation) => {
          oracle.sends.sent(body, confirmation);
        },
        (error: unknown) => {
          if (error instanceof PublishError) oracle.sends.sent(body, error);
          else oracle.findings.violate('errors-are-for-people', `send rejected with ${String(error)}`);
        },
      );
      this.#app.began(sending);
      if (every > 0) await universe.sleep(every);
    }
    await this.#app.settled();
  }

  /** Everything had time to mend: each partition has a consumer, and the members share them evenly. */
  calm(): void {
    const { findings } = this.#app.oracle;
    const members = [...this.#members].filter(({ stopped }) => !stopped);
    if (members.length === 0) return;
    for (let i = 0; i < this.#partitions; i++) {
      const queue = this.#app.universe.broker.vhost.find(`${NAME}.${String(i)}`);
      if (queue?.consumers.length === 0) findings.violate('each-partition-is-held', `partition ${String(i)} is not`);
    }
    const shares = members.map(({ queue }) => queue.assignment.length);
    const all = shares.reduce((sum, share) => sum + share, 0);
    if (all !== this.#partitions || Math.max(...shares) - Math.min(...shares) > 1) {
      findings.violate('partitions-are-shared-evenly', shares.join());
    }
  }

  /** All is calm: the processes stop, the queue gets another number of partitions, and one process begins anew. */
  async resize(to: number): Promise<void> {
    const { client, universe, oracle, plan } = this.#app;
    const { findings } = oracle;
    await this.end();
    await universe.sleep(STOPPED);
    const queues = universe.broker.vhost.queues.filter(({ name }) => name.startsWith(`${NAME}.`));
    const isDrained = queues.every(({ ready, out, consumers }) => ready.length + out.size + consumers.length === 0);
    const queue = client.partitioned<Body>({ name: NAME, partitions: this.#partitions });
    try {
      await queue.resize(to, { timeout: 5000 });
      this.#partitions = to;
    } catch (error) {
      findings.note(`app: the queue is not resized: ${String(error)}`);
      // A connection that is to be cut after some more messages can be cut now.
      const isLost = error instanceof InstanceQueueError && error.code !== 'NOT_DRAINED' && !isFaultless(plan);
      if (isDrained && !isLost) findings.violate('a-drained-queue-is-resized', String(error));
    }
    for (let i = 0; i < Math.max(to, this.#plan.partitions); i++) {
      const isThere = universe.broker.vhost.find(`${NAME}.${String(i)}`) !== undefined;
      if (isThere !== i < this.#partitions) {
        findings.violate(
          'a-resized-queue-has-its-partitions',
          `${String(this.#partitions)}, and ${String(i)} is ${isThere ? '' : 'not '}there`,
        );
      }
    }
    this.#join(0);
    await this.#send(this.#plan.messages);
  }

  /** Closes the clients of the other processes. */
  async end(): Promise<void> {
    await Promise.all([...this.#members].map((member) => this.#leave(member)));
  }

  #join(index: number): Member {
    const { client: own, universe, plan, oracle } = this.#app;
    const client = index === 0 ? own : universe.connect({ drainTimeout: plan.drainTimeout, logger: 'silent' });
    const queue = client.partitioned<Body>({ name: NAME, partitions: this.#partitions });
    const subscription = queue
      .consume({ prefetch: this.#plan.prefetch })
      .pipe(handle(this.#worker(index)))
      .subscribe({
        error: (error: unknown) => {
          member.stopped = true;
          oracle.findings.note(`app: member ${String(index)} errors: ${String(error)}`);
          if (!this.#app.mayStop(error)) {
            oracle.findings.violate('a-consumer-stays', `member ${String(index)}: ${String(error)}`);
          }
        },
        complete: () => {
          member.stopped = true;
        },
      });
    const member: Member = { client, queue, subscription, stopped: false };
    this.#members.add(member);
    return member;
  }

  async #leave(member: Member): Promise<void> {
    if (!this.#members.delete(member)) return;
    if (member.client === this.#app.client) member.subscription.unsubscribe();
    else await member.client.close();
  }

  #worker(member: number): Worker<Body, void> {
    const { oracle, universe, plan } = this.#app;
    const { findings } = oracle;
    return async ({ body }, { signal }) => {
      const { id, key } = body;
      findings.note(`app: member ${String(member)} starts ${String(id)} of key ${String(key)}`);
      if (!this.#seen.has(id) && id < (this.#begun.get(key) ?? 0)) {
        const what = `key ${String(key)}: ${String(id)} after ${String(this.#begun.get(key))}`;
        findings.violate('order-per-key-over-processes', what);
      }
      this.#seen.add(id);
      this.#begun.set(key, id);
      const running = 1 + (this.#running.get(key) ?? 0);
      this.#running.set(key, running);
      // A process whose connection is lost may learn of it after the next has begun.
      if (running > 1 && isFaultless(plan)) findings.violate('one-at-a-time-per-key-over-processes', String(key));
      let counts = true;
      const ends = (): void => {
        if (counts) this.#running.set(key, (this.#running.get(key) ?? 1) - 1);
        counts = false;
      };
      signal.addEventListener('abort', ends);
      const { chance } = this.#app.chanceOf(body, 60);
      await universe.sleep(chance.integer(0, this.#plan.takes));
      if (!signal.aborted) oracle.work.decides(body, 'done');
      ends();
    };
  }
}
