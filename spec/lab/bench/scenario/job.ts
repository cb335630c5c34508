/** One measurement in one process. */
export type Job =
  | {
      readonly kind: 'publish';
      readonly queue: string;
      readonly count: number;
      /** Messages before the clock starts: idle code has to be compiled again. */
      readonly warmUp: number;
      readonly bytes: number;
      readonly inFlight: number;
      readonly persistent: boolean;
      /** The type of the queue. */
      readonly type: 'classic' | 'quorum';
      /** Sends objects: the client encodes them as JSON, or the bench does for a client that takes bytes. */
      readonly json: boolean;
    }
  | {
      readonly kind: 'consume';
      readonly queue: string;
      readonly count: number;
      readonly warmUp: number;
      readonly prefetch: number;
      readonly worker: 'sync' | 'async';
    }
  | {
      readonly kind: 'round-trip';
      readonly queue: string;
      readonly count: number;
      /** The duration, ms: without Nagle's algorithm a client makes as many trips in a second as with it in two minutes. */
      readonly warmUp: number;
      readonly bytes: number;
      /** 2: one to publish, one to consume. */
      readonly connections: 1 | 2;
    };

/** The result. */
export interface Sample {
  readonly messages: number;
  readonly ms: number;
  /** User and system time of the client's process, µs. */
  readonly cpu: number;
  /** The duration of each round trip, ms. */
  readonly trips?: readonly number[];
}
