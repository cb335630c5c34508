import type { Arguments, InstanceQueue, InstanceQueueOptions, QueueSpec } from 'instance-queue';

/** A message that is ready in a queue. */
export interface StoredMessage {
  readonly body: unknown;
  readonly messageId: unknown;
  readonly headers: Arguments;
  readonly expiration: unknown;
}

/** A broker, real or in memory, and what a law needs to do to it from outside. */
export interface BrokerUnderTest {
  /** Of RabbitMQ. Where versions differ, a law states what each of them does. */
  readonly version: string;
  /** An InstanceQueue on this broker, closed after the test. */
  newClient(options?: Omit<InstanceQueueOptions, 'url'>): InstanceQueue;
  /** Declares a queue and gives its name. */
  declareQueue(spec?: Omit<QueueSpec, 'name'>): Promise<string>;
  /** A name that no queue has yet. A queue that the law declares under it is deleted after the test. */
  freeQueueName(): string;
  /** Puts a message into a queue, as another client would. */
  put(queue: string, content: Buffer, contentType: string): Promise<void>;
  /** Waits until at least this many messages are ready in a queue, then takes out all of them. */
  takeMessages(queue: string, count: number): Promise<readonly StoredMessage[]>;
  /** How many messages are ready in a queue, and how many consumers it has. */
  count(queue: string): Promise<{ readonly ready: number; readonly consumers: number }>;
  deleteQueue(queue: string): Promise<void>;
  deleteExchange(exchange: string): Promise<void>;
  /** Breaks all connections, and accepts none until `reconnect`. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  /** Holds back what the broker sends, until `release`. */
  hold(): void;
  release(): void;
  block(): Promise<void>;
  unblock(): Promise<void>;
}
