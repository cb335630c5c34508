/** One measurement in one process. */
export type Job = Publishing | Consuming | RoundTrips;

interface Common {
  readonly queue: string;
  readonly count: number;
  readonly bytes: number;
  /** Observe garbage collections. */
  readonly pauses?: boolean;
}

export interface Publishing extends Common {
  readonly kind: 'publish';
  /** Messages before the clock starts: idle code has to be compiled again. 0: the clock starts before the channel is opened. */
  readonly warmUp: number;
  readonly inFlight: number;
  /** One after the other, so many a second. Without it as fast as `inFlight` allows. */
  readonly perSecond?: number;
  readonly persistent: boolean;
  /** The type of the queue. */
  readonly type: 'classic' | 'quorum';
  /** Sends objects: the client encodes them as JSON, or the bench does for a client that takes bytes. */
  readonly json: boolean;
}

export interface Consuming extends Common {
  readonly kind: 'consume';
  /** As for publishing. */
  readonly warmUp: number;
  readonly prefetch: number;
  readonly worker: 'sync' | 'async';
  /** So many arrive a second. Without it all are in the queue beforehand. */
  readonly perSecond?: number;
}

export interface RoundTrips extends Common {
  readonly kind: 'round-trip';
  /** The duration, ms: without Nagle's algorithm a client makes as many trips in a second as with it in two minutes. */
  readonly warmUp: number;
  /** 2: one to publish, one to consume. */
  readonly connections: 1 | 2;
}

/** The result. */
export interface Sample {
  readonly messages: number;
  readonly ms: number;
  /** User and system time of the client's process, µs. */
  readonly cpu: number;
  /** The same since the process was started, with Node.js, `require` and `connect`, µs. */
  readonly sinceStart?: number;
  /** The duration of each round trip, ms. */
  readonly trips?: readonly number[];
  /** Garbage collections. */
  readonly pauses?: readonly Pause[];
}

export interface Pause {
  readonly kind: string;
  readonly ms: number;
}
