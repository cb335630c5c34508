import { createHash } from 'node:crypto';
import type { QueueSpec } from '../topology';

/** In which kind of queue a retry waits. */
export type WaitIn = 'classic' | 'quorum';

/** ms that a wait queue outlives its last use, beyond the delay. Its lease is renewed when half of it has passed. */
export const LEASE = 600_000;
/** A longer name is told by its hash: with what is added it has to fit 255 bytes. */
const LONGEST_NAME = 200;

/**
 * The queue in which retries of one queue wait for one delay, and from which they come back to that queue alone: its
 * messages all live equally long, so that the first is always the first to go.
 *
 * Classic by default, because declaring it again renews its lease (`x-expires`): unused it goes, in use it stays. RabbitMQ
 * does not renew that of a quorum queue (seen on 3.10; https://www.rabbitmq.com/docs/quorum-queues#feature-matrix), which
 * would take its messages along: so a quorum queue gets none, and stays. It hands its messages back at least once.
 */
export function waitQueue(origin: string, delay: number, kind: WaitIn): QueueSpec {
  const name = `${stem(origin)}.retry.${String(delay)}`;
  const returning = { durable: true, messageTtl: delay, deadLetter: { queue: origin } };
  if (kind === 'classic') return { ...returning, name, type: 'classic', expires: delay + LEASE };
  return {
    ...returning,
    name: `${name}.quorum`,
    type: 'quorum',
    overflow: 'reject-publish',
    arguments: { 'x-dead-letter-strategy': 'at-least-once' },
  };
}

/** `amq.` is for the broker's own: others may not declare such names. */
function stem(origin: string): string {
  const free = origin.replace(/^amq\./, '');
  return Buffer.byteLength(free) <= LONGEST_NAME ? free : createHash('sha256').update(origin).digest('hex');
}
