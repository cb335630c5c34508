import type { Arguments, InstanceQueue, InstanceQueueOptions, QueueSpec } from 'instance-queue';

/** A message that lies in a queue. */
export interface Letter {
  readonly body: unknown;
  readonly messageId: unknown;
  readonly headers: Arguments;
  readonly expiration: unknown;
}

/** A broker, real or in memory, with what a law has to be able to do to it from outside. */
export interface World {
  /** An InstanceQueue on this broker, closed behind the test. */
  open(options?: Omit<InstanceQueueOptions, 'url'>): InstanceQueue;
  /** A new queue; its name. */
  queue(spec?: Omit<QueueSpec, 'name'>): Promise<string>;
  /** A name of which there is no queue yet; gone behind the test. */
  freeName(): string;
  /** Puts a message into a queue, as another client. */
  put(queue: string, content: Buffer, contentType: string): Promise<void>;
  /** Takes out what lies in a queue, once so many are there. */
  letters(queue: string, count: number): Promise<readonly Letter[]>;
  /** What lies in a queue, and who consumes from it. */
  count(queue: string): Promise<{ readonly ready: number; readonly consumers: number }>;
  deleteQueue(queue: string): Promise<void>;
  /** All connections break, and none comes about until `reconnect`. */
  disconnect(): Promise<void>;
  reconnect(): Promise<void>;
  /** What the broker says does not arrive, until `release`. */
  hold(): void;
  release(): void;
  block(): Promise<void>;
  unblock(): Promise<void>;
  /** Everything as it was. */
  end(): Promise<void>;
}
