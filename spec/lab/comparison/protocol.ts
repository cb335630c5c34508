/** What the run and the process of a client tell each other. */

/** What a client's process is started with. */
export interface Assignment {
  readonly url: string;
  readonly queue: string;
  readonly names: { readonly producer: string; readonly consumer: string };
  readonly heartbeat: number;
  readonly prefetch: number;
  /** ms between two messages. */
  readonly every: number;
  /** Bytes that each message carries. */
  readonly padding: number;
  /** With so many unsettled ones the application waits. */
  readonly window: number;
}

export type Command =
  | { readonly do: 'start' }
  | { readonly do: 'stop' }
  /** A message to an exchange that does not exist. Answered with when it was sent. */
  | { readonly do: 'poison'; readonly exchange: string }
  /** From now on the work on each message takes so many ms. */
  | { readonly do: 'dawdle'; readonly ms: number }
  /** The event loop stands still. Answered with when it goes on. */
  | { readonly do: 'block'; readonly ms: number }
  /** Answered with the bytes that are held after a collection of garbage. */
  | { readonly do: 'weigh' };

export interface Question {
  readonly id: number;
  readonly command: Command;
}

/** Times are `monotonic()`. */
export type Entry =
  | readonly ['sent', n: number, at: number]
  | readonly ['confirmed', n: number, at: number]
  | readonly ['failed', n: number, at: number, error: string]
  | readonly ['received', n: number, at: number, messageId: string | undefined]
  /** What the process was warned of, such as a listener too many. */
  | readonly ['warning', text: string];

export type Report =
  | { readonly opened: true }
  | { readonly entries: readonly Entry[] }
  | { readonly answer: number; readonly value: number; readonly error?: string };
