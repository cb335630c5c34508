import { intervalOf } from '../../interval';
import { isObject } from '../../options';
import type { Arguments } from '../../properties';
import type { QueueDeclaration } from '../../topology-arguments';
import { describeField } from './field-table';
import type { BrokerQueue, QueueHost } from './broker-queue';
import { checkNeverMoved } from './moved-consumers';
import { PRIORITY, type QueueConsumer, type QueueConsumerOptions } from './queue-consumer';
import { Refusal } from './refusal';
import type { QueuedMessage, StoredMessage } from './stored-message';

interface Entry extends QueuedMessage {
  readonly offset: number;
  /** Epoch ms. */
  readonly at: number;
}

/** How far a consumer has read, and what of it. */
interface Reader {
  next: number;
  readonly wants: (message: StoredMessage) => boolean;
}

/** A stream: a log that each consumer reads from an offset of its own. https://www.rabbitmq.com/docs/streams */
export class MemoryStream implements BrokerQueue {
  readonly owner = undefined;
  readonly counts = false;
  readonly singleActiveConsumer = false;
  readonly expired = false;
  readonly out = new Set<QueuedMessage>();
  readonly #readers = new Map<QueueConsumer, Reader>();
  #log: Entry[] = [];
  #written = 0;

  constructor(
    readonly name: string,
    readonly declaration: QueueDeclaration,
    readonly host: QueueHost,
  ) {}

  get consumers(): readonly QueueConsumer[] {
    return [...this.#readers.keys()];
  }
  get ready(): readonly QueuedMessage[] {
    return this.#log;
  }
  get all(): readonly QueuedMessage[] {
    return this.#log;
  }
  get busy(): boolean {
    return this.out.size > 0 || [...this.#readers.values()].some((reader) => this.#nextFor(reader) !== undefined);
  }

  used(): void {
    // Streams do not expire.
  }
  sweep(): void {
    // Their messages neither.
  }
  sleep(): void {
    // It has no timer.
  }
  restart(): void {
    // Everything in it is on disk.
  }

  push(message: StoredMessage): boolean {
    const headers = { ...message.properties.headers, 'x-stream-offset': this.#written };
    this.#log.push({
      message: { ...message, properties: { ...message.properties, headers } },
      rank: 0,
      order: this.#written,
      offset: this.#written,
      at: Date.now(),
      expiresAt: Infinity,
      redelivered: false,
      failures: 0,
    });
    this.#written++;
    this.dispatch();
    return true;
  }

  dispatch(): void {
    for (const [consumer, reader] of this.#readers) {
      for (let entry = this.#nextFor(reader); entry && consumer.ready; entry = this.#nextFor(reader)) {
        reader.next = entry.offset + 1;
        // Several consumers can have the same message.
        const delivery = { ...entry };
        this.out.add(delivery);
        consumer.unsettled++;
        consumer.deliver(delivery);
      }
    }
    this.host.changed();
  }

  settled(message: QueuedMessage): void {
    this.out.delete(message);
  }
  /** Settling a message of a stream only asks for more, however it is settled. */
  rejected(message: QueuedMessage): void {
    this.settled(message);
  }
  returned(message: QueuedMessage): void {
    this.settled(message);
  }

  accept(options: QueueConsumerOptions): void {
    const { noAck, prefetch, arguments: args } = options;
    const what = `queue '${this.name}' in vhost '/'`;
    if (noAck) throw new Refusal(540, `automatic acknowledgement not supported by stream ${what}`);
    for (const name of [PRIORITY, 'x-consumer-timeout']) {
      if (args[name] === undefined) continue;
      throw new Refusal(406, `invalid arg '${name}' for ${what} of queue type rabbit_stream_queue`);
    }
    checkNeverMoved(this, this.host.version, options);
    if (prefetch === 0) throw new Refusal(406, `consumer prefetch count is not set for stream ${what}`);
    this.#start(args);
  }

  attach(consumer: QueueConsumer): void {
    const { arguments: args } = consumer.options;
    this.#readers.set(consumer, { next: this.#start(args), wants: filterOf(args) });
  }

  detach(consumer: QueueConsumer): boolean {
    this.#readers.delete(consumer);
    return false;
  }

  cancelAll(): void {
    const consumers = this.consumers;
    this.#readers.clear();
    for (const consumer of consumers) consumer.cancelled();
  }

  take(): never {
    throw new Refusal(540, `basic.get not supported by stream queues queue '${this.name}' in vhost '/'`);
  }

  checkPurge(): void {
    throw new Refusal(540, `queue.purge not supported by stream queues queue '${this.name}' in vhost '/'`);
  }

  /** As its retention would: the offsets go on. */
  purge(): number {
    const { length } = this.#log;
    this.#log = [];
    this.host.changed();
    return length;
  }

  #nextFor({ next, wants }: Reader): Entry | undefined {
    const first = this.#log[0]?.offset ?? this.#written;
    for (let i = Math.max(0, next - first); i < this.#log.length; i++) {
      const entry = this.#log[i];
      if (entry && (wants(entry.message) || this.#chunkOf(i).some(({ message }) => wants(message)))) return entry;
    }
    return undefined;
  }

  /** The filter of the broker looks at whole chunks. https://www.rabbitmq.com/docs/stream-filtering */
  #chunkOf(at: number): readonly Entry[] {
    const { chunk } = this.host;
    const start = at - (at % chunk);
    return this.#log.slice(start, start + chunk);
  }

  #start({ 'x-stream-offset': start = 'next' }: Arguments): number {
    const since = (ms: number): number => this.#log.find(({ at }) => at >= ms)?.offset ?? this.#written;
    if (start === 'first') return 0;
    if (start === 'next') return this.#written;
    if (start === 'last') return Math.max(0, this.#written - 1);
    if (typeof start === 'number') return start;
    if (isObject(start) && start['!'] === 'timestamp') return since(Number(start['value']) * 1000);
    const interval = intervalOf(start);
    if (interval !== undefined) return since(Date.now() - interval);
    const { value, type } = describeField(start);
    const shown = type === 'longstr' ? `<<"${value}">>` : value;
    throw new Refusal(
      406,
      `invalid arg 'x-stream-offset' for queue '${this.name}' in vhost '/': {invalid_stream_offset_arg,{${type},${shown}}}`,
    );
  }
}

/** https://www.rabbitmq.com/docs/stream-filtering */
function filterOf(args: Arguments): (message: StoredMessage) => boolean {
  const { 'x-stream-filter': filter, 'x-stream-match-unfiltered': unfiltered = false } = args;
  if (filter === undefined) return () => true;
  const values: readonly unknown[] = Array.isArray(filter) ? filter : [filter];
  return ({ properties: { headers } }) => {
    const value = headers['x-stream-filter-value'];
    return value === undefined ? unfiltered === true : values.includes(value);
  };
}
