import type { Patch } from './threads';

/** Mistakes in how streams are read. */
export const PLANTED_IN_STREAMS: Readonly<Record<string, Patch>> = {
  'a-stream-resumes-one-offset-too-far': {
    file: 'lib/consumer/stream/offset-tracker.ts',
    search: 'if (this.#position !== undefined) return this.#position + 1;',
    replace: 'if (this.#position !== undefined) return this.#position + 2;',
  },
  'a-stream-is-read-from-the-next-message-again': {
    file: 'lib/consumer/stream/stream-reader.ts',
    search: "if (this.#start === 'next' || intervalOf(this.#start) !== undefined)",
    replace: 'if (intervalOf(this.#start) !== undefined)',
  },
  'acks-of-a-stream-go-over-an-unsettled-message': {
    file: 'lib/consumer/stream/stream-channel.ts',
    search: 'return lowest - 1;',
    replace: 'return Math.max(lowest - 1, this.#unsettled.size > 2 ? lowest : 0);',
  },
  'what-is-settled-out-of-order-is-read-again': {
    file: 'lib/consumer/stream/offset-tracker.ts',
    search: "if (entry) return entry.settled ? 'settled' : entry.attempts++;",
    replace: 'if (entry) return entry.attempts++;',
  },
  'the-last-offset-is-not-reported': {
    file: 'lib/consumer/stream/stream-reader.ts',
    search: 'if (position === undefined || position === this.#reported) return;',
    replace: 'if (position === undefined || position <= (this.#reported ?? 0) + 1) return;',
  },
};
