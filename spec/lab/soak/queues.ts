import type { QueueSpec } from 'instance-queue';
import type { Broker } from '../../../compose/broker';
import { Bystander } from '../../support/brokers/bystander';
import type { Book } from './book';
import type { Parcel } from './work';

/** The queues of a run and their messages. */
export class Queues {
  /** Queues of two types. */
  readonly work: readonly [QueueSpec, QueueSpec];
  readonly deadLetters: QueueSpec;
  readonly #broker: Broker;

  constructor(broker: Broker, name: string) {
    this.#broker = broker;
    this.deadLetters = { name: `${name}.dead` };
    const deadLetter = { queue: this.deadLetters.name };
    this.work = [
      { name: `${name}.classic`, type: 'classic', deadLetter },
      // No limit: a message that fails or is lost again and again is delivered again.
      { name: `${name}.quorum`, type: 'quorum', deadLetter, deliveryLimit: 1_000_000 },
    ];
  }

  /** The number of messages on the broker that are still to be handled. */
  async left(): Promise<number> {
    const rows = (await this.#broker.queues()).filter((row) => this.work.some(({ name }) => name === row.name));
    if (rows.length < this.work.length) return Infinity;
    return rows.reduce((sum, { messages }) => sum + messages, 0);
  }

  /** Moves the dead letters into the book. */
  async readDeadLetters(book: Book): Promise<void> {
    const bystander = await Bystander.at(this.#broker.url);
    for (const { content, properties } of await bystander.takeAll(this.deadLetters.name)) {
      const { n } = JSON.parse(content.toString()) as Parcel;
      const id: unknown = properties.messageId;
      book.deadLettered(n, typeof id === 'string' ? id : undefined);
    }
    await bystander.close();
  }

  async delete(): Promise<void> {
    for (const { name } of [...this.work, this.deadLetters]) await this.#broker.ctl('delete_queue', name);
  }
}
