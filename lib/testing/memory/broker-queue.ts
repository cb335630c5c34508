import type { QueueDeclaration } from '../../topology-arguments';
import type { Death } from './dead-letter';
import type { QueueConsumer, QueueConsumerOptions } from './queue-consumer';
import type { QueuedMessage, StoredMessage } from './stored-message';

/** What a queue needs of the virtual host it is in. */
export interface QueueHost {
  /** Is any connection open? Timers wait only for the sake of one. */
  readonly awake: boolean;
  /** Returns `false` if a queue did not take it, or there is none. */
  deadLetter(message: StoredMessage, death: Death, exchange: string, key: string | undefined): boolean;
  /** A message left its queue for good. `taken`: where it goes as a dead letter, if anywhere, took it. */
  died(message: StoredMessage, death: Death, taken: boolean): void;
  /** Of the RabbitMQ that it behaves like. */
  readonly version: string;
  /** Messages in a chunk of a stream. RabbitMQ makes chunks of what arrives together. */
  readonly chunk: number;
  changed(): void;
  /** It has dropped a message, for which there is no dead letter. */
  lost(message: StoredMessage, queue: string): void;
}

/** What the broker does with queues of every type. */
export interface BrokerQueue {
  readonly name: string;
  readonly declaration: QueueDeclaration;
  /** The connection that an exclusive queue belongs to. */
  readonly owner: object | undefined;
  readonly consumers: readonly QueueConsumer[];
  /** The messages that wait in it, in order. */
  readonly ready: readonly QueuedMessage[];
  /** Messages that consumers have and have not settled. */
  readonly out: ReadonlySet<QueuedMessage>;
  /** Every message of it, also those that wait for another attempt. */
  readonly all: readonly QueuedMessage[];
  /** Is there a message that a consumer has, or will get? */
  readonly busy: boolean;
  /** Does it count failed deliveries? */
  readonly counts: boolean;
  readonly singleActiveConsumer: boolean;
  /** Unused for so long that the broker deletes it (`x-expires`)? */
  readonly expired: boolean;
  used(): void;
  /** Returns `false` when it is full and rejects what comes. */
  push(message: StoredMessage): boolean;
  /** Hands out what consumers have room for. */
  dispatch(): void;
  /** Drops what expired while no connection was open. */
  sweep(): void;
  /** A consumer is done with the message. */
  settled(message: QueuedMessage): void;
  rejected(message: QueuedMessage): void;
  /** It comes back. `failed`: the delivery counts towards the limit. `lost`: no client put it back. */
  returned(message: QueuedMessage, failed: boolean, lost: boolean): void;
  /** Refuses a consumer that this type of queue does not serve. */
  accept(options: QueueConsumerOptions): void;
  attach(consumer: QueueConsumer): void;
  /** Returns whether the queue goes with its last consumer. */
  detach(consumer: QueueConsumer): boolean;
  cancelAll(): void;
  /** Takes the first message without a consumer. */
  take(): QueuedMessage | undefined;
  /** Refuses to be purged by a client. */
  checkPurge(): void;
  /** Drops the messages that wait. Returns how many. */
  purge(): number;
  /** The broker starts again: what does not survive that is dropped. */
  restart(): void;
  /** Leaves no timer. */
  sleep(): void;
}
