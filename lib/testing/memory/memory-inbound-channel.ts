import type {
  ConsumeListener,
  ConsumeRequest,
  InboundChannel,
  InboundMessage,
  Settlement,
} from '../../transport/transport';
import { MemoryChannel, type ChannelConnection } from './memory-channel';

/** The channel of one consumer, to a broker in memory. */
export class MemoryInboundChannel extends MemoryChannel implements InboundChannel {
  readonly #listeners: Map<string, ConsumeListener>;

  constructor(connection: ChannelConnection) {
    const listeners = new Map<string, ConsumeListener>();
    super(connection, {
      deliver: (tag, message) => {
        listeners.get(tag)?.message(message);
      },
      cancelled: (tag) => {
        const listener = listeners.get(tag);
        listeners.delete(tag);
        listener?.cancelled();
      },
    });
    this.#listeners = listeners;
  }

  consume(request: ConsumeRequest, listener: ConsumeListener): Promise<void> {
    const { queue, tag, prefetch, noAck, exclusive, arguments: args, priority = priorityIn(args) } = request;
    let begin = (): void => undefined;
    return this.request(
      `Cannot consume from queue \`${queue}\``,
      () => {
        begin = this.broker.consume(queue, tag, { noAck, exclusive, priority, prefetch, arguments: args });
      },
      {
        arrived: () => this.#listeners.set(tag, listener),
        behind: () => {
          begin();
        },
      },
    );
  }

  get(queue: string): Promise<InboundMessage | undefined> {
    return this.request(`Cannot get a message of queue \`${queue}\``, () => this.broker.get(queue));
  }

  settle(deliveryTag: number, how: Settlement, multiple = false): boolean {
    return this.tell(() => {
      this.broker.settle(deliveryTag, how, multiple);
    });
  }

  async cancel(tag: string): Promise<void> {
    const cancelled = this.request(
      'Cannot cancel the consumer',
      () => {
        this.broker.cancel(tag);
      },
      { arrived: () => this.#listeners.delete(tag) },
    );
    // Gone with its channel, the consumer is cancelled, too.
    await cancelled.catch(() => undefined);
  }
}

function priorityIn({ 'x-priority': priority }: ConsumeRequest['arguments']): number {
  return typeof priority === 'number' ? priority : 0;
}
