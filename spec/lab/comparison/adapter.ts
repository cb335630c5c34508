/** What the experiment asks of a client: as little as possible, so that any client can be put behind it. */

/** The body of a message. */
export interface Numbered {
  readonly n: number;
  readonly padding: string;
}

export interface Setup {
  readonly url: string;
  /** Durable; declared by whoever needs it first, and again whenever the client's own recovery does. */
  readonly queue: string;
  /** The names of the two connections at the broker, for those clients that can give one. */
  readonly names: { readonly producer: string; readonly consumer: string };
  /** Seconds; the same for every client. */
  readonly heartbeat: number;
  /** The same for every client. */
  readonly prefetch: number;
  /** The application's work on a message; to be acked once it resolves. */
  readonly received: (n: number, messageId: string | undefined) => void | Promise<void>;
}

export interface Client {
  /** Resolves once confirmed. Rejects with what the application has to deal with. */
  send(message: Numbered): Promise<unknown>;
  /** Prepares a message to an exchange that does not exist; what it gives sends it, over the same connection as the others. */
  aim(exchange: string): Promise<() => Promise<unknown>>;
}

/** Two connections, one that produces and one that consumes, with the client's own recovery on. */
export type Open = (setup: Setup) => Promise<Client>;
