import type { QueueSpec } from 'instance-queue';
import { Random } from '../../lib/testing/simulation/random';
import { MOVED, type ConsumerPlan, type Plan, type ProducerPlan, type ReaderPlan } from './plan';
import { withRareOptions } from './rarer-options';
import { drawOutages, type SocketPlan } from './socket/socket-plan';

/** What a seed adds to some runs. Each addition draws its own numbers, so that a new one changes no other. */
export function rarer(plan: Plan, duration: number): Plan {
  const more = withPartitions(
    withBursts(withOptions(withRetries(withDelays(withPriorities(withMore(plan, duration)))), duration)),
    duration,
  );
  const rare = withRareOptions(more, duration);
  return plan.socket ? withFullSockets(rare, plan.socket, duration) : rare;
}

/** One that writes often, and a little at a time: it fills the buffers of a slow socket. */
export const trickling = (plan: ProducerPlan): ProducerPlan => ({
  ...plan,
  every: 1,
  messages: 150,
  maxInFlight: 1000,
});

/** In one run in ten messages of several priorities wait in one queue, for consumers of several priorities. */
function withPriorities(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x5bd1e995);
  if (!random.chance(0.1)) return plan;
  const queue = random.integer(0, plan.queues.filter(({ type }) => type !== 'stream').length - 1);
  return {
    ...plan,
    queues: plan.queues.map((spec, i) =>
      i === queue && spec.type === 'classic' ? { ...spec, maxPriority: random.pick([1, 3, 5, 9]) } : spec,
    ),
    producers: plan.producers.map((one): ProducerPlan => {
      if (random.chance(0.3)) return one;
      const { expires, nowhere, ...rest } = one;
      const messages = random.pick([10, 20, 30]);
      return { ...rest, queue, messages, ...(random.chance(0.8) && { priorities: true }) };
    }),
    consumers: plan.consumers.map((one): ConsumerPlan => {
      if (random.chance(0.2)) return one;
      const { consumerTimeout, ...rest } = one;
      const takes = random.pick([5, 100, 1000]);
      const prefetch = random.pick([1, 1, 4]);
      return { ...rest, queue, takes, prefetch, ...(random.chance(0.7) && { priority: random.pick([-3, 1, 10]) }) };
    }),
  };
}

/** In one run in thirty messages wait at the broker before they reach their queue. */
function withDelays(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x165667b1);
  if (!random.chance(0.03)) return plan;
  // How late a message is shows where nothing else delays it.
  const steady = random.chance(0.4);
  const { closeAt, ...rest } = plan;
  return {
    ...(steady ? { ...rest, faults: [] } : plan),
    queues: steady ? plan.queues.map(({ maxLength, overflow, ...queue }) => queue) : plan.queues,
    producers: plan.producers.map((one): ProducerPlan => {
      const { expires, nowhere, ...rest } = one;
      const most = random.pick([30, 400, 5000, 60_000]);
      const delays = { most, in: random.pick(['quorum', 'classic']), by: random.pick(['delay', 'delay', 'at']) };
      const more = { delays, ...(random.chance(0.5) && { priorities: true as const }) };
      return random.chance(0.3) || plan.queues[one.queue]?.type === 'stream' ? one : { ...rest, ...more };
    }),
  };
}

/** In one run in seventy several processes share a partitioned queue. */
function withPartitions(plan: Plan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x3c6ef372);
  if (!random.chance(0.015)) return plan;
  const some = Math.min(duration, 10_000);
  const steady = random.chance(0.4);
  return {
    ...plan,
    ...(steady && { faults: [] }),
    partitions: {
      at: random.integer(0, some / 2),
      every: random.pick([0, 1, 20, 200]),
      messages: random.pick([10, 30, 60]),
      keys: random.integer(1, 6),
      partitions: random.integer(1, 5),
      prefetch: random.pick([1, 4, 20]),
      takes: random.pick([0, 5, 100]),
      members: Array.from({ length: random.integer(1, 3) }, () => ({
        at: random.integer(0, some),
        ...(random.chance(0.4) && { leavesAt: random.integer(0, some) }),
      })),
    },
  };
}

/** In one run in seven: options that are rarely used. */
function withOptions(plan: Plan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x2127599b);
  if (!random.chance(0.15)) return plan;
  const changes = (): NonNullable<ConsumerPlan['changes']> => {
    const at = random.integer(0, duration / 4);
    const first = { at, to: random.integer(0, 3) };
    return [first, { at: at + random.integer(1, duration / 4), to: random.integer(1, 6) }];
  };
  return {
    ...plan,
    producers: plan.producers.map((one): ProducerPlan => ({
      ...one,
      ...(random.chance(0.5) && { carries: true }),
      ...(random.chance(0.3) && { bytes: random.pick([600, 2000]) }),
    })),
    consumers: plan.consumers.map((one): ConsumerPlan => {
      const fails = one.onError !== 'retry' && random.chance(0.3);
      return {
        ...one,
        ...(fails && { works: 'handle', onError: 'fail', fails: random.pick([5, 20]), pauses: [] }),
        ...(random.chance(0.4) && { works: 'handle', concurrency: random.integer(1, 3), changes: changes() }),
      };
    }),
  };
}

const DELAYS: readonly (readonly number[])[] = [[0], [50], [300, 20], [100, 2000]];

/** In one run in twenty failed messages wait for other times and in other queues than by default. */
function withRetries(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x27d4eb2f);
  if (!random.chance(0.05)) return plan;
  const { closeAt, ...rest } = plan;
  const inQueue = plan.version === '4.3.0' && random.chance(0.5);
  const queues = plan.queues.map((spec): QueueSpec => {
    return inQueue && spec.type === 'quorum' ? { ...spec, delayedRetry: { min: 100, max: 300 } } : spec;
  });
  return {
    // A message that waits in its own queue is not seen there when a run ends early.
    ...(inQueue ? rest : plan),
    queues,
    consumers: plan.consumers.map((one): ConsumerPlan => {
      const waits = queues[one.queue]?.delayedRetry !== undefined;
      const retry = {
        attempts: random.integer(2, 5),
        delay: waits ? [100, 200, 300] : (DELAYS[random.integer(0, DELAYS.length - 1)] ?? []),
        waitIn: waits ? ('queue' as const) : random.pick(['classic', 'quorum', 'quorum']),
        then: random.chance(0.3) ? { queue: MOVED } : ('reject' as const),
      };
      return { ...one, works: 'handle', onError: 'retry', fails: random.pick([20, 60]), retry };
    }),
  };
}

/** In one run in four hundred a producer sends thousands at once, and then a few: what has grown with its load shrinks again. */
function withBursts(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x2545f491);
  if (!random.chance(0.0025)) return plan;
  const burst = random.integer(2200, 5000);
  return {
    ...plan,
    queues: plan.queues.map(({ maxLength, overflow, ...queue }) => queue),
    producers: plan.producers.map((one, i): ProducerPlan => {
      const { expires, nowhere, closeAt, ...rest } = one;
      if (i > 0) return one;
      return {
        ...rest,
        by: 'send',
        overflow: 'wait',
        limit: 10_000,
        timeout: 60_000,
        maxInFlight: random.pick([3, 1000, 10_000]),
        aborts: random.pick([0, 0, 1]),
        burst,
        messages: random.integer(1, 2) * burst + random.integer(5, 40),
        every: random.integer(1000, 10_000),
      };
    }),
    consumers: plan.consumers.map((one) => ({ ...one, prefetch: 20, fails: 0, hangs: 0, takes: 0 })),
    ...(plan.readers && { readers: plan.readers.map((one) => ({ ...one, prefetch: 20, fails: 0, takes: 0 })) }),
  };
}

/** Some runs down to the socket have patient senders and a broker that reads late; some have hosts that do not answer. */
function withFullSockets(plan: Plan, socket: SocketPlan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x4cf5ad43);
  if (random.chance(0.1)) {
    const faults = [...socket.faults, ...drawOutages(random, duration)].sort((a, b) => a.at - b.at);
    return { ...plan, socket: { ...socket, faults, connectTimeout: random.integer(1500, 4000) } };
  }
  if (!random.chance(0.03)) return plan;
  const stalls = Array.from({ length: random.integer(1, 2) }, () => {
    return { kind: 'stall', at: random.integer(1, 600), ms: random.integer(100, 1000) } as const;
  });
  return {
    ...plan,
    faults: [],
    // A queue with room takes what waited in time; one without makes the broker nack what comes behind a full socket.
    queues: random.chance(0.5) ? plan.queues : plan.queues.map(({ maxLength, overflow, ...queue }) => queue),
    producers: plan.producers.map((one): ProducerPlan => ({
      ...trickling(one),
      at: random.integer(0, 300),
      overflow: 'wait',
      limit: 10_000,
      timeout: 60_000,
      aborts: 0,
    })),
    socket: { ...socket, highWaterMark: 512, window: 3000, faults: stalls.sort((a, b) => a.at - b.at) },
  };
}

/** What a seed adds to one run in two: rarer ways to send, smaller limits, streams. */
function withMore(plan: Plan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x61c88647);
  if (random.chance(0.5)) return plan;
  const at = (share = 0.5): number => random.integer(0, Math.floor(duration * share));
  const queues = plan.queues.map(({ deadLetter, ...queue }): QueueSpec => {
    const limited = queue.type === 'quorum' && random.chance(0.3) && { deliveryLimit: random.integer(0, 3) };
    return { ...queue, ...(deadLetter && random.chance(0.9) && { deadLetter }), ...limited };
  });
  const streams = random.chance(0.3) ? random.integer(1, 2) : 0;
  for (let i = 0; i < streams; i++) queues.push({ name: `s${String(i)}`, type: 'stream' });
  const first = plan.queues.length;
  const stream = (): number => first + random.integer(0, streams - 1);
  return {
    ...plan,
    queues,
    producers: plan.producers.map((one): ProducerPlan => ({
      ...one,
      ...(random.chance(0.3) && { by: random.pick(['send-all', 'publish-all']) }),
      ...(random.chance(0.3) && { nowhere: random.pick([10, 50]) }),
      ...(random.chance(0.3) && { expires: random.pick([5, 100, 1000, 10_000]) }),
      ...(random.chance(0.2) && { priorities: true }),
      ...(streams > 0 && random.chance(0.5) && { queue: stream() }),
    })),
    consumers: plan.consumers.map((one): ConsumerPlan => {
      const times = plan.version === '4.3.0' && queues[one.queue]?.type === 'quorum' && random.chance(0.2);
      return { ...one, ...(times && { consumerTimeout: random.integer(500, 8000) }) };
    }),
    ...(streams > 0 && {
      readers: Array.from({ length: random.integer(1, 2) }, (): ReaderPlan => ({
        at: at(0.3),
        queue: stream(),
        from: random.pick(['first', 'first', 'next', random.integer(0, 5)]),
        prefetch: random.pick([1, 4, 20]),
        works: random.pick(['handle', 'handle', 'by-hand']),
        concurrency: random.pick([1, 3, 20]),
        onError: random.pick(['requeue-once', 'requeue', 'reject']),
        fails: random.pick([0, 0, 20]),
        takes: random.pick([0, 5, 100]),
        pauses: random.chance(0.25) ? [{ at: at(), ms: random.integer(0, duration / 4) }] : [],
        ...(random.chance(0.3) && { resumesAt: at() }),
      })),
    }),
  };
}
