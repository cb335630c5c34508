import { connect, type ChannelModel, type ConfirmChannel } from 'amqplib';
import { randomUUID, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Consuming, Job } from './scenario/job';

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
    if (job.kind === 'consume' && job.perSecond === undefined) await this.#fill(job);
  }

  /** Publishes what arrives while the job runs. */
  async feed(job: Job): Promise<void> {
    if (job.kind !== 'consume' || job.perSecond === undefined) return;
    const body = randomBytes(job.bytes);
    const began = performance.now();
    for (let i = 0; i < job.warmUp + job.count; i++) {
      const early = began + (i * 1000) / job.perSecond - performance.now();
      if (early > 0) await delay(early);
      this.#send(job.queue, body);
    }
    await this.#channel.waitForConfirms();
  }

  close(): Promise<void> {
    return this.#model.close();
  }

  async #fill({ queue, warmUp, count, bytes }: Consuming): Promise<void> {
    const body = randomBytes(bytes);
    const inFlight = bytes < 16 * 1024 ? 1000 : 50;
    for (let i = 1; i <= warmUp + count; i++) {
      this.#send(queue, body);
      if (i % inFlight === 0) await this.#channel.waitForConfirms();
    }
    await this.#channel.waitForConfirms();
  }

  #send(queue: string, body: Buffer): void {
    this.#channel.sendToQueue(queue, body, {
      contentType: 'application/octet-stream',
      messageId: randomUUID(),
      persistent: false,
    });
  }
}
