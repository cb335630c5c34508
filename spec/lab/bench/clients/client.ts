/** The interface of every client under test. Each implements it as its documentation recommends. */
export interface BenchClient {
  /** Resolves with a function that sends one message to `queue`, and calls `confirmed` when the broker has confirmed it. */
  sender(queue: string, options: SendingOptions): Promise<(body: Buffer, confirmed: () => void) => void>;
  /** The same for objects, which the client encodes as JSON. */
  jsonSender?(queue: string, options: SendingOptions): Promise<(body: object, confirmed: () => void) => void>;
  /** Consumes from `queue` and acks each message after `work`. Resolves with a function that stops it. */
  receiver(queue: string, prefetch: number, work: () => void | Promise<void>): Promise<() => Promise<unknown>>;
  close(): Promise<unknown>;
}

export interface SendingOptions {
  readonly persistent: boolean;
}

/** Settings are the defaults of the client, except for those of the scenarios. */
export type OpenClient = (url: string) => Promise<BenchClient>;
