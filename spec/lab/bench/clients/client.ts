/** What is asked of every client under test. Each does it as its documentation recommends. */
export interface BenchClient {
  /** Resolves to what sends one message to `queue`; `confirmed` is called when the broker has confirmed it. */
  sender(queue: string, options: SendingOptions): Promise<(body: Buffer, confirmed: () => void) => void>;
  /** The same for objects that it makes into JSON by itself. */
  jsonSender?(queue: string, options: SendingOptions): Promise<(body: object, confirmed: () => void) => void>;
  /** Consumes from `queue` and acks each message after `work`; resolves to what ends it. */
  receiver(queue: string, prefetch: number, work: () => void | Promise<void>): Promise<() => Promise<unknown>>;
  close(): Promise<unknown>;
}

export interface SendingOptions {
  readonly persistent: boolean;
}

/** Its settings are those it comes with, except for what the scenarios ask for. */
export type OpenClient = (url: string) => Promise<BenchClient>;
