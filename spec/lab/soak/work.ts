import { setTimeout as pause } from 'node:timers/promises';
import type { ErrorPolicy, Worker } from 'instance-queue';

/** The body: the number, and padding. */
export interface Parcel {
  readonly n: number;
  readonly weight: string;
}

/** Thrown to choose how the delivery is settled. */
class Mishap extends Error {
  constructor(readonly settlement: 'requeue' | 'release' | 'reject') {
    super(settlement);
  }
}

/** The time limit of a handler, ms. Some handlers hang until their signal aborts after it. */
export const TIME_LIMIT = 300;

/** A handler that at random fails, requeues, rejects, hangs until its signal aborts, is slow, or succeeds. */
export const work =
  (luck: () => number): Worker<Parcel, unknown> =>
  (_, { signal }) => {
    const chance = luck();
    if (chance < 0.03) throw new Mishap('requeue');
    if (chance < 0.05) return Promise.reject(new Mishap('reject'));
    if (chance < 0.06) throw new Mishap('release');
    if (chance < 0.08) return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error())));
    return chance < 0.25 ? pause(luck() * 20) : undefined;
  };

/** Any other failure, such as the time limit, is retried. */
export const policy: ErrorPolicy<Parcel> = (error) => (error instanceof Mishap ? error.settlement : 'requeue');
