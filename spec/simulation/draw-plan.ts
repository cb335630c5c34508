import type { QueueSpec } from 'instance-queue';
import { drawFaults } from '../../lib/testing/simulation/faults';
import { Random } from '../../lib/testing/simulation/random';
import type { ConsumerPlan, Mode, Plan, ProducerPlan, RequesterPlan } from './plan';
import { rarer, trickling } from './rarer-plans';
import { socketPlanOf } from './socket/socket-plan';

/** What a seed makes. */
export function planOf(seed: number, mode: Mode = 'port'): Plan {
  const random = new Random(seed);
  // Down to the socket quiet minutes are not empty: heartbeats go on.
  const duration = random.pick([3000, 10_000, 30_000, mode === 'port' ? 60_000 : 120_000]);
  const at = (share = 0.5): number => random.integer(0, Math.floor(duration * share));
  const some = <T>(least: number, most: number, make: () => T): T[] =>
    Array.from({ length: random.integer(least, most) }, make);
  const version = random.pick(['3.10.0', '4.0.0', '4.3.0']);
  const queues = some(1, 3, () => random.pick(['classic', 'quorum'])).map((type, i): QueueSpec => ({
    name: `q${String(i)}`,
    type,
    deadLetter: { queue: 'dead' },
    ...(type === 'quorum' && { deliveryLimit: 50 }),
    ...(random.chance(0.15) && { maxLength: random.integer(3, 20), overflow: 'reject-publish' }),
    ...(type === 'classic' && random.chance(0.2) && { maxPriority: 5 }),
    ...(type === 'quorum' &&
      version === '4.3.0' &&
      random.chance(0.15) && { consumerTimeout: random.integer(500, 8000) }),
    ...(random.chance(0.1) && { singleActiveConsumer: true }),
  }));
  const queue = (): number => random.integer(0, queues.length - 1);
  const producers = some(1, 3, (): ProducerPlan => ({
    at: at(0.3),
    every: random.pick([0, 0, 1, 20, 300]),
    messages: random.pick([1, 3, 10, 20, 30, 60]),
    queue: queue(),
    through: random.pick(['queue', 'queue', 'exchange']),
    by: random.pick(['send', 'send', 'publish']),
    onUnknown: random.pick(['resend', 'resend', 'reject']),
    onNack: random.pick(['resend', 'resend', 'reject']),
    overflow: random.pick(['wait', 'wait', 'reject', 'drop-oldest']),
    limit: random.pick([3, 10, 10_000]),
    maxInFlight: random.pick([1, 3, 1000]),
    timeout: random.pick([500, 5000, 30_000, 60_000]),
    aborts: random.pick([0, 0, 20]),
    ...(random.chance(0.15) && { closeAt: at(1) }),
  }));
  const consumers = some(1, 3, (): ConsumerPlan => ({
    at: at(0.2),
    queue: queue(),
    prefetch: random.pick([1, 4, 20]),
    works: random.pick(['handle', 'handle', 'handle', 'batch', 'by-hand']),
    ...(random.chance(0.4) && { concurrency: random.integer(1, 5) }),
    ...(random.chance(0.4) && { keys: random.integer(1, 3) }),
    onError: random.pick(['requeue-once', 'requeue', 'reject', 'retry']),
    fails: random.pick([0, 0, 10, 40]),
    hangs: random.pick([0, 0, 5]),
    takes: random.pick([0, 5, 100, 1000]),
    ...(random.chance(0.2) && { timeout: random.integer(50, 3000) }),
    pauses: random.chance(0.25) ? some(1, 2, () => ({ at: at(), ms: random.integer(0, duration / 4) })) : [],
    ...(random.chance(0.15) && { shared: random.integer(100, 5000) }),
    ...(random.chance(0.2) && { ends: { at: at(), by: random.pick(['until', 'unsubscribe']) } }),
  }));
  const requesters = random.chance(0.3)
    ? some(1, 1, (): RequesterPlan => ({
        at: at(0.3),
        every: random.pick([0, 10, 200]),
        requests: random.integer(1, 10),
        idempotent: random.chance(0.5),
        fails: random.pick([0, 30]),
        takes: random.pick([0, 50, 1000]),
        timeout: random.pick([1000, 10_000, 60_000]),
      }))
    : [];
  const plan: Plan = {
    seed,
    version,
    faults: drawFaults(random, random.pick([0, 1, 1, 2, 3, 5]), duration),
    queues,
    producers: mode === 'port' ? producers : producers.map((one) => (random.chance(0.1) ? trickling(one) : one)),
    consumers,
    requesters,
    ...(random.chance(0.3) && { closeAt: at(1) }),
    drainTimeout: random.pick([0, 200, 5000, 30_000]),
    ...(mode === 'socket' && { socket: socketPlanOf(seed, duration) }),
  };
  return rarer(plan, duration);
}
