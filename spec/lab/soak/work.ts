import { setTimeout as pause } from 'node:timers/promises';
import type { ErrorPolicy, Worker } from 'instance-queue';

/** What is sent: the number, and some weight. */
export interface Parcel {
  readonly n: number;
  readonly weight: string;
}

/** Says how its delivery is to be settled. */
class Mishap extends Error {
  constructor(readonly settlement: 'requeue' | 'release' | 'reject') {
    super(settlement);
  }
}

/** ms that a handler may take; some hang until their signal tells them that this has passed. */
export const TIME_LIMIT = 300;

/** A handler that fails, gives back, refuses, hangs until its signal aborts, takes its time, or just works: as luck has it. */
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

/** What came of it otherwise, the time limit say, is tried again. */
export const policy: ErrorPolicy<Parcel> = (error) => (error instanceof Mishap ? error.settlement : 'requeue');
