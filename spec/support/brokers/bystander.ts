import { connect, type ChannelModel, type ConfirmChannel, type GetMessage, type Options } from 'amqplib';
import { uniqueName } from '../unique-name';
import { eventually } from '../waiting';

/**
 * Another client of the same broker, written with amqplib alone. It prepares what the client under test finds, and reports
 * what is really on the broker. It connects again when its connection was lost. `close()` deletes the queues and exchanges
 * it has declared or named.
 */
export class Bystander {
  readonly #url: string;
  readonly #queues = new Set<string>();
  readonly #exchanges = new Set<string>();
  #model: ChannelModel | undefined;
  #channel: ConfirmChannel | undefined;

  private constructor(url: string) {
    this.#url = url;
  }

  static async at(url: string): Promise<Bystander> {
    const bystander = new Bystander(url);
    await bystander.#connected();
    return bystander;
  }

  async #connected(): Promise<ChannelModel> {
    if (this.#model) return this.#model;
    const model = await connect(this.#url, { clientProperties: { connection_name: 'bystander' } });
    model.on('error', () => undefined);
    model.on('close', () => {
      if (this.#model === model) this.#model = undefined;
    });
    this.#model = model;
    return model;
  }

  /** Runs any other amqplib call. Opens a new channel if the broker has closed the last one. */
  async onChannel<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    let channel = this.#channel;
    if (!channel) {
      channel = await (await this.#connected()).createConfirmChannel();
      const mine = channel;
      mine.on('error', () => undefined);
      mine.on('close', () => {
        if (this.#channel === mine) this.#channel = undefined;
      });
      this.#channel = mine;
    }
    return work(channel);
  }

  /** Declares a queue, durable by default, and gives its name. */
  async declareQueue(options: Options.AssertQueue = {}, name = uniqueName()): Promise<string> {
    this.deletesQueue(name);
    await this.onChannel((channel) => channel.assertQueue(name, options));
    return name;
  }

  /** A name that no queue has yet. A queue that the test declares under it is deleted on close. */
  freeQueueName(): string {
    return this.deletesQueue(uniqueName());
  }

  /** A name that no exchange has yet. An exchange that the test declares under it is deleted on close. */
  freeExchangeName(): string {
    return this.deletesExchange(uniqueName('exchange'));
  }

  /** Deletes the queue of this name on close even if another client declares it. */
  deletesQueue(name: string): string {
    this.#queues.add(name);
    return name;
  }

  /** Deletes the exchange of this name on close even if another client declares it. */
  deletesExchange(name: string): string {
    this.#exchanges.add(name);
    return name;
  }

  /** Puts JSON bodies into a queue; resolves when the broker has confirmed them. */
  put(queue: string, ...bodies: unknown[]): Promise<void> {
    return this.publish('', queue, ...bodies);
  }

  publish(exchange: string, routingKey: string, ...bodies: unknown[]): Promise<void> {
    const contents = bodies.map((body) => Buffer.from(JSON.stringify(body)));
    return this.publishRaw(exchange, routingKey, contents, { contentType: 'application/json' });
  }

  async publishRaw(
    exchange: string,
    routingKey: string,
    contents: readonly Buffer[],
    options: Options.Publish,
  ): Promise<void> {
    const publish = (channel: ConfirmChannel, content: Buffer): Promise<boolean> =>
      new Promise((resolve) => {
        channel.publish(exchange, routingKey, content, { persistent: true, ...options }, (error: unknown) => {
          resolve(error === null);
        });
      });
    await this.onChannel(async (channel) => {
      const confirmed = await Promise.all(contents.map((content) => publish(channel, content)));
      // A quorum queue nacks while it elects a leader.
      for (const [i, content] of contents.entries())
        if (!confirmed[i]) await eventually(() => publish(channel, content));
    });
  }

  /** How many messages are ready in a queue (not counting those that consumers have unacked), and how many consumers it has. */
  async count(queue: string): Promise<{ readonly ready: number; readonly consumers: number }> {
    const { messageCount, consumerCount } = await this.onChannel((channel) => channel.checkQueue(queue));
    return { ready: messageCount, consumers: consumerCount };
  }

  async hasQueue(queue: string): Promise<boolean> {
    try {
      await this.count(queue);
      return true;
    } catch {
      return false;
    }
  }

  /** Takes one message with a JSON body out of a queue; undefined if none is ready. */
  async take(queue: string): Promise<{ readonly body: unknown; readonly redelivered: boolean } | undefined> {
    const got = await this.onChannel((channel) => channel.get(queue, { noAck: true }));
    if (got === false) return undefined;
    return { body: JSON.parse(got.content.toString()) as unknown, redelivered: got.fields.redelivered };
  }

  /** Takes out all messages that are ready in a queue now, in order. */
  takeAll(queue: string): Promise<GetMessage[]> {
    return this.onChannel(async (channel) => {
      const all: GetMessage[] = [];
      for (;;) {
        const got = await channel.get(queue, { noAck: true });
        if (got === false) return all;
        all.push(got);
      }
    });
  }

  /** Waits until at least this many messages are ready in a queue, then takes out all of them, in order. */
  async takeAtLeast(queue: string, count: number): Promise<GetMessage[]> {
    await eventually(async () => (await this.count(queue)).ready >= count);
    return this.takeAll(queue);
  }

  /** Deletes the messages that are ready in a queue now. */
  async purge(queue: string): Promise<void> {
    await this.onChannel((channel) => channel.purgeQueue(queue));
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.onChannel((channel) => channel.deleteQueue(queue));
  }

  async close(): Promise<void> {
    for (const queue of this.#queues) await this.deleteQueue(queue).catch(() => undefined);
    for (const exchange of this.#exchanges) {
      await this.onChannel((channel) => channel.deleteExchange(exchange)).catch(() => undefined);
    }
    await this.#model?.close().catch(() => undefined);
  }
}
