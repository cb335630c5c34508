import { InstanceQueue } from 'instance-queue';
import type { FaultProxy } from 'instance-queue/testing';
import type { Book } from './book';
import type { Queues } from './queues';
import { Reader } from './reader';
import { Tally } from './tally';
import { Writer, publishing } from './writer';

export interface ServiceOptions {
  readonly name: string;
  readonly brokerUrl: string;
  /** All connections of this instance go through it. */
  readonly proxy: FaultProxy;
  readonly queues: Queues;
  readonly book: Book;
  readonly luck: () => number;
}

/** Writers per instance. */
export const WRITERS = 3;

/** One instance of a service: it sends into two queues and consumes from both. */
export class Service {
  readonly name: string;
  readonly proxy: FaultProxy;
  readonly queue: InstanceQueue;
  readonly #tally = new Tally();
  readonly #readers: readonly Reader[];
  readonly #writers: readonly Writer[];

  constructor({ name, brokerUrl, proxy, queues, book, luck }: ServiceOptions) {
    // Short, because each rest has to wait for this timer.
    const backoff = { min: 20, max: 500, stableAfter: 1000 };
    this.name = name;
    this.proxy = proxy;
    this.queue = new InstanceQueue({
      url: proxy.url(brokerUrl),
      name,
      heartbeat: 1,
      connectTimeout: 1500,
      reconnect: backoff,
      reopen: backoff,
      // Longer than any fault: on a busy machine a broker is slow to restart.
      producer: { timeout: 120_000 },
      topology: { queues: [...queues.work, queues.deadLetters] },
    });
    const { queue } = this;
    const [first, second] = queues.work;
    const account = { book, tally: this.#tally, luck };
    const narrow = queue.producer({ maxInFlight: 20, outbox: { limit: 50 } });
    this.#readers = queues.work.map((spec) => new Reader(queue, spec, account));
    this.#writers = [
      new Writer((message) => queue.send(message), first.name, account),
      new Writer((message) => narrow.send(message), second.name, account),
      new Writer(publishing(queue, name), second.name, account),
    ];
  }

  /** The expected channels at rest: one for each consumer and each producer. */
  get connections(): readonly string[] {
    return [`${this.name}.consumer ${this.#readers.length}`, `${this.name}.producer 2`];
  }

  write(): void {
    for (const writer of this.#writers) writer.write();
  }
  pause(): void {
    for (const writer of this.#writers) writer.pause();
  }

  /** Are all messages settled, and all consumers attached? */
  get quiet(): boolean {
    return (
      this.#writers.every(({ open }) => open === 0) &&
      this.#tally.inFlight === 0 &&
      this.#readers.every(({ attached }) => attached) &&
      this.queue.health.status === 'up'
    );
  }

  /** Ends the service when it is idle. Returns all violations. */
  async close(): Promise<string[]> {
    const wrong = this.#tally.complaints(this.name, this.queue.metrics);
    const { unsettled, unconfirmed } = await this.queue.close();
    if (unsettled + unconfirmed > 0)
      wrong.push(`${this.name} left ${unsettled} deliveries and ${unconfirmed} messages behind`);
    await Promise.all(this.#readers.map((reader) => reader.ended()));
    await this.proxy.close();
    return wrong;
  }
}
