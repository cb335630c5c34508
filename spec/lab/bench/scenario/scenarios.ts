import type { Consuming, Job, Publishing, RoundTrips } from './job';

export interface Scenario {
  readonly title: string;
  /** The job of one round; each client has its own `queue`. */
  readonly job: (queue: string) => Job;
}

/** The size of a message, unless a scenario is about sizes. */
export const BYTES = 256;
const PREFETCH = 250;

export const scaled = (full: number, scale: number): number => Math.max(1, Math.round(full * scale));
const warmUpFor = (count: number): number => Math.max(1, Math.round(count / 4));
/** A thousand large messages would test memory. */
const windowFor = (bytes: number, small: number): number => (bytes < 16 * 1024 ? small : 50);

export const publish = (title: string, count: number, more: Partial<Publishing> = {}): Scenario => ({
  title,
  job: (queue) => ({
    kind: 'publish',
    queue: `${queue}-${more.type ?? 'classic'}`,
    count,
    warmUp: warmUpFor(count),
    bytes: BYTES,
    inFlight: windowFor(more.bytes ?? BYTES, 1000),
    persistent: false,
    type: 'classic',
    json: false,
    ...more,
  }),
});

export const consume = (
  title: string,
  count: number,
  worker: 'sync' | 'async',
  more: Partial<Consuming> = {},
): Scenario => ({
  title,
  job: (queue) => ({
    kind: 'consume',
    queue,
    count,
    warmUp: warmUpFor(count),
    bytes: BYTES,
    prefetch: windowFor(more.bytes ?? BYTES, PREFETCH),
    worker,
    ...more,
  }),
});

/** One message at a time. */
export const roundTrip = (title: string, count: number, warmUp: number, more: Partial<RoundTrips> = {}): Scenario => ({
  title,
  job: (queue) => ({ kind: 'round-trip', queue, count, warmUp, bytes: BYTES, connections: 1, ...more }),
});
