import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { randomUUID, randomBytes } from 'node:crypto';
import type { Job } from './scenario/job';

/** The queues of the clients, prepared for each job. */
export class Queues {
  readonly #model: ChannelModel;
  readonly #channel: ConfirmChannel;

  private constructor(model: ChannelModel, channel: ConfirmChannel) {
    this.#model = model;
    this.#channel = channel;
  }

  static async open(url: string): Promise<Queues> {
    const model = await connect(url, { noDelay: true });
    return new Queues(model, await model.createConfirmChannel());
  }

  /** Durable and classic; empty, or with the messages to consume. */
  async prepare(job: Job): Promise<void> {
    const { queue } = job;
    const type = job.kind === 'publish' ? job.type : 'classic';
    await this.#channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
    await this.#channel.purgeQueue(queue);
    if (job.kind === 'consume') await this.#fill(queue, job.warmUp + job.count);
  }

  close(): Promise<void> {
    return this.#model.close();
  }

  async #fill(queue: string, count: number): Promise<void> {
    const body = randomBytes(256);
    for (let i = 0; i < count; i++) {
      this.#channel.sendToQueue(queue, body, {
        contentType: 'application/octet-stream',
        messageId: randomUUID(),
        persistent: false,
      });
      if (i % 1000 === 999) await this.#channel.waitForConfirms();
    }
    await this.#channel.waitForConfirms();
  }
}
