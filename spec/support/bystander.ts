import { connect, type ChannelModel, type ConfirmChannel, type Options } from 'amqplib';
import { uniqueName } from './cleanup';
import { eventually } from './waiting';

/**
 * Another client of the same broker, by amqplib alone: it prepares what our client finds, and says what is really there.
 * The queues it knows are deleted when it is closed.
 */
export class Bystander {
  readonly #model: ChannelModel;
  readonly #queues = new Set<string>();
  readonly #exchanges = new Set<string>();
  #channel: ConfirmChannel | undefined;

  private constructor(model: ChannelModel) {
    this.#model = model;
    model.on('error', () => undefined);
  }

  static async at(url: string): Promise<Bystander> {
    return new Bystander(await connect(url, { clientProperties: { connection_name: 'bystander' } }));
  }

  /** A channel of its own for each wish, since a refusal closes it. */
  async #on<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    let channel = this.#channel;
    if (!channel) {
      channel = await this.#model.createConfirmChannel();
      const mine = channel;
      mine.on('error', () => undefined);
      mine.on('close', () => {
        if (this.#channel === mine) this.#channel = undefined;
      });
      this.#channel = mine;
    }
    return work(channel);
  }

  /** Declares a durable queue. */
  async queue(options: Options.AssertQueue = {}, name = uniqueName()): Promise<string> {
    this.tidies(name);
    await this.#on((channel) => channel.assertQueue(name, options));
    return name;
  }

  /** A name that is free; what comes to bear it is deleted in the end. */
  tidies(queue = uniqueName()): string {
    this.#queues.add(queue);
    return queue;
  }

  /** The same for an exchange. */
  tidiesExchange(exchange = uniqueName('exchange')): string {
    this.#exchanges.add(exchange);
    return exchange;
  }

  /** Puts JSON bodies into a queue; resolves when the broker has them. */
  put(queue: string, ...bodies: unknown[]): Promise<void> {
    return this.publish('', queue, ...bodies);
  }

  publish(exchange: string, routingKey: string, ...bodies: unknown[]): Promise<void> {
    const contents = bodies.map((body) => Buffer.from(JSON.stringify(body)));
    return this.raw(exchange, routingKey, contents, { contentType: 'application/json' });
  }

  raw(exchange: string, routingKey: string, contents: readonly Buffer[], options: Options.Publish): Promise<void> {
    const publish = (channel: ConfirmChannel, content: Buffer): Promise<boolean> =>
      new Promise((resolve) => {
        channel.publish(exchange, routingKey, content, { persistent: true, ...options }, (error: unknown) => {
          resolve(error === null);
        });
      });
    return this.#on(async (channel) => {
      const confirmed = await Promise.all(contents.map((content) => publish(channel, content)));
      // A quorum queue that is between leaders says: not now.
      for (const [i, content] of contents.entries())
        if (!confirmed[i]) await eventually(() => publish(channel, content));
    });
  }

  /** What waits in a queue (not what is out to consumers), and how many consume from it. */
  async count(queue: string): Promise<{ readonly ready: number; readonly consumers: number }> {
    const { messageCount, consumerCount } = await this.#on((channel) => channel.checkQueue(queue));
    return { ready: messageCount, consumers: consumerCount };
  }

  /** Is there a queue of this name? */
  async has(queue: string): Promise<boolean> {
    try {
      await this.count(queue);
      return true;
    } catch {
      return false;
    }
  }

  /** Takes one message out, and acks it. */
  async take(queue: string): Promise<{ readonly body: unknown; readonly redelivered: boolean } | undefined> {
    const got = await this.#on((channel) => channel.get(queue, { noAck: true }));
    if (got === false) return undefined;
    return { body: JSON.parse(got.content.toString()) as unknown, redelivered: got.fields.redelivered };
  }

  /** Throws away what lies in a queue now, and nothing that comes later. */
  async purge(queue: string): Promise<void> {
    await this.#on((channel) => channel.purgeQueue(queue));
  }

  async deleteQueue(queue: string): Promise<void> {
    await this.#on((channel) => channel.deleteQueue(queue));
  }

  /** Anything else that amqplib can ask for. */
  ask<T>(work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    return this.#on(work);
  }

  async close(): Promise<void> {
    for (const queue of this.#queues) await this.deleteQueue(queue).catch(() => undefined);
    for (const exchange of this.#exchanges) {
      await this.#on((channel) => channel.deleteExchange(exchange)).catch(() => undefined);
    }
    await this.#model.close().catch(() => undefined);
  }
}
