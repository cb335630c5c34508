import type { Arguments } from '../../properties';
import type { QueuedMessage } from './stored-message';

export interface QueueConsumerOptions {
  readonly tag: string;
  readonly noAck: boolean;
  /** The queue serves no other consumer beside it. */
  readonly exclusive: boolean;
  /** Unsettled messages at most; 0: no limit. */
  readonly prefetch: number;
  readonly arguments: Arguments;
}

/** The argument that says how early a consumer has its turn. https://www.rabbitmq.com/docs/consumer-priority */
export const PRIORITY = 'x-priority';

interface Channel {
  readonly deliver: (message: QueuedMessage) => void;
  /** The queue is gone, or serves the consumer no longer. */
  readonly cancelled: () => void;
}

/** A consumer as its queue knows it. */
export class QueueConsumer {
  unsettled = 0;
  readonly deliver: (message: QueuedMessage) => void;
  readonly cancelled: () => void;

  constructor(
    readonly options: QueueConsumerOptions,
    { deliver, cancelled }: Channel,
  ) {
    this.deliver = deliver;
    this.cancelled = cancelled;
  }

  get priority(): number {
    const { [PRIORITY]: priority = 0 } = this.options.arguments;
    return Number(priority);
  }

  /** Can it take one more message? */
  get ready(): boolean {
    const { noAck, prefetch } = this.options;
    return noAck || prefetch === 0 || this.unsettled < prefetch;
  }
}
