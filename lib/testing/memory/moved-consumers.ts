import { Subscription, timer } from 'rxjs';
import type { BrokerQueue } from './broker-queue';
import { movesConsumers, NEVER_MOVED } from './generation';
import { QueueConsumer, type QueueConsumerOptions } from './queue-consumer';
import { Refusal } from './refusal';
import type { QueuedMessage } from './stored-message';

/** ms after the deletion of a queue in which the channels of its consumers know. */
const MOMENT = 30;

/** What it needs of its channel. */
interface Channel {
  readonly version: string;
  /** The queue of that name; undefined: there is none. */
  readonly find: (name: string) => BrokerQueue | undefined;
  readonly registered: (consumer: QueueConsumer, queue: BrokerQueue) => void;
  readonly cancelled: (consumerTag: string) => void;
}

/**
 * The consumers of a channel whose queues were deleted, at a RabbitMQ before 4.0. A moment later, where there is a queue of the same name,
 * it registers them with that one, and nothing that this queue sends to them arrives. Otherwise it cancels them.
 */
export class MovedConsumers {
  readonly #channel: Channel;
  readonly #unheard: { readonly queue: BrokerQueue; readonly message: QueuedMessage }[] = [];
  readonly #moving = new Subscription();
  /** Has the channel a prefetch of its own? Quorum queues take no consumers from it, which leaves those that they have. */
  limited = false;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** The queue has cancelled its consumer. */
  left(queue: BrokerQueue, options: QueueConsumerOptions): void {
    const deleted = this.#channel.find(queue.name) !== queue;
    if (deleted && this.#moves(queue, options)) this.#move(queue.name, options);
    else this.#channel.cancelled(options.tag);
  }

  /** The channel is gone: the messages that did not arrive go back to their queues. */
  end(): void {
    this.#moving.unsubscribe();
    for (const { queue, message } of this.#unheard.splice(0)) {
      if (this.#channel.find(queue.name) === queue) queue.returned(message, true, true);
    }
  }

  #moves({ declaration, counts }: BrokerQueue, { arguments: args }: QueueConsumerOptions): boolean {
    if (!movesConsumers(this.#channel.version) || declaration.arguments['x-queue-type'] === 'stream') return false;
    return counts ? !this.limited : args[NEVER_MOVED] !== true;
  }

  #move(name: string, options: QueueConsumerOptions): void {
    const moment = timer(MOMENT).subscribe(() => {
      const queue = this.#channel.find(name);
      if (!queue) {
        this.#channel.cancelled(options.tag);
        return;
      }
      const consumer = new QueueConsumer(options, {
        deliver: (message) => {
          if (!options.noAck) this.#unheard.push({ queue, message });
        },
        cancelled: () => {
          this.left(queue, options);
        },
      });
      queue.attach(consumer);
      this.#channel.registered(consumer, queue);
      queue.dispatch();
    });
    this.#moving.add(moment);
  }
}

/** Refuses the argument on behalf of a queue that is not classic, at a RabbitMQ that knows it. */
export function checkNeverMoved(
  { name, counts }: Pick<BrokerQueue, 'name' | 'counts'>,
  version: string,
  { arguments: args }: QueueConsumerOptions,
): void {
  if (args[NEVER_MOVED] === undefined || !movesConsumers(version)) return;
  const type = counts ? 'quorum' : 'stream';
  throw new Refusal(
    406,
    `invalid arg '${NEVER_MOVED}' for queue '${name}' in vhost '/' of queue type rabbit_${type}_queue`,
  );
}
