import type { Job } from './job';

export interface Scenario {
  readonly title: string;
  /** The job of one round; each client has its own `queue`. */
  readonly job: (queue: string) => Job;
}

const PREFETCH = 250;
/** Small messages per round: with 40,000, recompilation after each idle phase would be a tenth of the cost. */
const MANY = 120_000;
const BYTES = 256;
const LEAST_TRIPS = 8;

const scaled = (full: number, scale: number): number => Math.max(1, Math.round(full * scale));
const warmUpFor = (count: number): number => Math.max(1, Math.round(count / 4));

interface Publishing {
  readonly bytes?: number;
  readonly persistent?: boolean;
  readonly type?: 'classic' | 'quorum';
  readonly json?: boolean;
}
export const publish = (
  title: string,
  count: number,
  { bytes = BYTES, persistent = false, type = 'classic', json = false }: Publishing = {},
): Scenario => ({
  title,
  job: (queue) => ({
    kind: 'publish',
    queue: `${queue}-${type}`,
    count,
    warmUp: warmUpFor(count),
    bytes,
    // A thousand large messages would test memory.
    inFlight: bytes < 16 * 1024 ? 1000 : 50,
    persistent,
    type,
    json,
  }),
});
export const consume = (title: string, count: number, worker: 'sync' | 'async'): Scenario => ({
  title,
  job: (queue) => ({ kind: 'consume', queue, count, warmUp: warmUpFor(count), prefetch: PREFETCH, worker }),
});
const roundTrip = (title: string, scale: number, bytes: number, connections: 1 | 2 = 1): Scenario => ({
  title,
  job: (queue) => ({
    kind: 'round-trip',
    queue,
    count: Math.max(LEAST_TRIPS, scaled(100, scale)),
    warmUp: 1000 * scale,
    bytes,
    connections,
  }),
});

/** The scenarios of the comparison. `scale` 1 is long enough for reliable figures. */
export function scenarios(scale: number): readonly Scenario[] {
  const count = (full: number): number => scaled(full, scale);
  return [
    publish('publish, confirmed, 1000 in flight', count(MANY)),
    consume('consume + ack, sync worker, prefetch 250', count(MANY), 'sync'),
    consume('consume + ack, async worker, prefetch 250', count(MANY), 'async'),
    roundTrip('round trip, one at a time, one connection', scale, BYTES),
  ];
}

/** Other sizes and kinds of messages. */
export function variations(scale: number): readonly Scenario[] {
  const count = (full: number): number => scaled(full, scale);
  return [
    publish('publish 16 B', count(MANY), { bytes: 16 }),
    publish('publish 1 KiB', count(MANY), { bytes: 1024 }),
    publish('publish 16 KiB', count(24_000), { bytes: 16 * 1024 }),
    publish('publish 256 KiB', count(1800), { bytes: 256 * 1024 }),
    publish('publish JSON', count(MANY), { json: true }),
    publish('publish, persistent, quorum queue', count(24_000), { persistent: true, type: 'quorum' }),
    roundTrip('round trip, two connections', scale, BYTES, 2),
    roundTrip('round trip, 4 KiB', scale, 4 * 1024),
    roundTrip('round trip, 4 KiB, two connections', scale, 4 * 1024, 2),
    roundTrip('round trip, 64 KiB', scale, 64 * 1024),
    roundTrip('round trip, 64 KiB, two connections', scale, 64 * 1024, 2),
  ];
}
