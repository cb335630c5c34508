/** One measurement in one process. */
export type Job =
  | {
      readonly kind: 'publish';
      readonly queue: string;
      readonly count: number;
      /** So many before the clock starts: what has rested has to be compiled again. */
      readonly warmUp: number;
      readonly bytes: number;
      readonly inFlight: number;
      readonly persistent: boolean;
      /** Of the queue. */
      readonly type: 'classic' | 'quorum';
      /** Objects, each made into JSON by the client, or by the bench for a client that takes bytes. */
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
      /** ms: in one second a client without Nagle's algorithm makes as many trips as one with it in two minutes. */
      readonly warmUp: number;
      readonly bytes: number;
      /** Two: one to publish, one to consume. */
      readonly connections: 1 | 2;
    };

/** What came of it. */
export interface Sample {
  readonly messages: number;
  readonly ms: number;
  /** User and system time of the client's process, µs. */
  readonly cpu: number;
  /** ms of each round trip. */
  readonly trips?: readonly number[];
}
