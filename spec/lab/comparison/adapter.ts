/** The interface of a client in the experiment: minimal, so that every client can implement it. */

/** The body of a message. */
export interface Numbered {
  readonly n: number;
  readonly padding: string;
}

export interface Setup {
  readonly url: string;
  /** Durable. Declared on first use, and again by the recovery of the client, if it does that. */
  readonly queue: string;
  /** The names of the two connections at the broker, for clients that support names. */
  readonly names: { readonly producer: string; readonly consumer: string };
  /** Seconds; the same for every client. */
  readonly heartbeat: number;
  /** The same for every client. */
  readonly prefetch: number;
  /** The work of the application on a message, which is acked when it resolves. */
  readonly received: (n: number, messageId: string | undefined) => void | Promise<void>;
}

export interface Client {
  /** Resolves when confirmed. Rejects with an error that the application has to handle. */
  send(message: Numbered): Promise<unknown>;
  /** Prepares a message to an exchange that does not exist. Returns a function that sends it over the connection of the others. */
  aim(exchange: string): Promise<() => Promise<unknown>>;
}

/** Opens two connections, one to produce and one to consume, with the recovery of the client switched on. */
export type Open = (setup: Setup) => Promise<Client>;
