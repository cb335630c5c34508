import type { Job } from './job';

export interface Scenario {
  readonly title: string;
  /** The job of one round; `queue` is each client's own. */
  readonly job: (queue: string) => Job;
}

const PREFETCH = 250;
const BYTES = 256;

const publish = (title: string, count: number, bytes = BYTES, persistent = false): Scenario => ({
  title,
  job: (queue) => ({ kind: 'publish', queue, count, bytes, inFlight: 1000, persistent }),
});
const consume = (title: string, count: number, worker: 'sync' | 'async'): Scenario => ({
  title,
  job: (queue) => ({ kind: 'consume', queue, count, prefetch: PREFETCH, worker }),
});
const roundTrip = (title: string, count: number, bytes: number): Scenario => ({
  title,
  job: (queue) => ({ kind: 'round-trip', queue, count, bytes }),
});

/** What all clients are compared in. `scale` 1: long enough to be believed. */
export function scenarios(scale: number): readonly Scenario[] {
  const count = (full: number): number => Math.max(1, Math.round(full * scale));
  return [
    publish('publish, confirmed, 1000 in flight', count(40_000)),
    consume('consume + ack, sync worker, prefetch 250', count(40_000), 'sync'),
    consume('consume + ack, async worker, prefetch 250', count(40_000), 'async'),
    roundTrip('round trip, one at a time, one connection', count(100), BYTES),
  ];
}
