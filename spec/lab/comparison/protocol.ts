/** The messages between the run and the process of a client. */

/** The settings of a client process. */
export interface Assignment {
  readonly url: string;
  readonly queue: string;
  readonly names: { readonly producer: string; readonly consumer: string };
  readonly heartbeat: number;
  readonly prefetch: number;
  /** ms between two messages. */
  readonly every: number;
  /** Bytes of padding per message. */
  readonly padding: number;
  /** The number of unsettled messages at which the application waits. */
  readonly window: number;
}

export type Command =
  | { readonly do: 'start' }
  | { readonly do: 'stop' }
  /** Sends a message to an exchange that does not exist. Answered with the time of the send. */
  | { readonly do: 'poison'; readonly exchange: string }
  /** Sets the duration of the work per message, ms. */
  | { readonly do: 'dawdle'; readonly ms: number }
  /** Blocks the event loop. Answered with the time at which it continues. */
  | { readonly do: 'block'; readonly ms: number }
  /** Answered with the bytes in use after a garbage collection. */
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
  /** Warnings of the process, such as too many listeners. */
  | readonly ['warning', text: string];

export type Report =
  | { readonly opened: true }
  | { readonly entries: readonly Entry[] }
  | { readonly answer: number; readonly value: number; readonly error?: string };
