import type { QueueSpec } from 'instance-queue';
import { drawFaults, type Fault } from '../../lib/testing/simulation/faults';
import { Random } from '../../lib/testing/simulation/random';
import { drawOutages, socketPlanOf, type SocketPlan } from './socket/socket-plan';

/** Everything that happens in one simulated run. Plain data: it can be shrunk, and saved. */
export interface Plan {
  readonly seed: number;
  readonly version: string;
  readonly faults: readonly Fault[];
  readonly queues: readonly QueueSpec[];
  readonly producers: readonly ProducerPlan[];
  readonly consumers: readonly ConsumerPlan[];
  readonly requesters: readonly RequesterPlan[];
  /** Of the queues that are streams; undefined: there is none. */
  readonly readers?: readonly ReaderPlan[];
  /** When the app is closed, ms; undefined: when all is calm. */
  readonly closeAt?: number;
  readonly drainTimeout: number;
  /** Down to the socket; undefined: down to the transport port. */
  readonly socket?: SocketPlan;
}

/** Does the broker take deliveries back that take too long? */
export const timesOut = ({ queues, consumers }: Plan): boolean =>
  [...queues, ...consumers].some(({ consumerTimeout }) => consumerTimeout !== undefined);

/** The priority of a message from a producer; undefined: it has none. */
export const priorityOf = (plan: ProducerPlan | undefined, id: number): number | undefined =>
  plan?.priorities ? id % 6 : undefined;

/** How far down the simulation goes: to the transport port, or with amqplib to the socket. */
export type Mode = 'port' | 'socket';

/** Sends messages, one after the other or several at once. */
export interface ProducerPlan {
  readonly at: number;
  /** ms between two sends. */
  readonly every: number;
  readonly messages: number;
  /** How many it sends at once; one where it is not given. */
  readonly burst?: number;
  /** An index into the queues. */
  readonly queue: number;
  readonly through: 'queue' | 'exchange';
  /** `send-all` and `publish-all`: several messages with one call. */
  readonly by: 'send' | 'publish' | 'send-all' | 'publish-all';
  readonly onUnknown: 'resend' | 'reject';
  readonly onNack: 'resend' | 'reject';
  readonly overflow: 'wait' | 'reject' | 'drop-oldest';
  readonly limit: number;
  readonly maxInFlight: number;
  readonly timeout: number;
  /** How many of a hundred sends are aborted while they are under way. */
  readonly aborts: number;
  readonly closeAt?: number;
  /** How many of a hundred messages no queue is bound for. Every other one of them is mandatory. */
  readonly nowhere?: number;
  /** ms after which its messages expire. */
  readonly expires?: number;
  /** Its messages have a priority. */
  readonly priorities?: true;
}

export interface ConsumerPlan {
  readonly at: number;
  readonly queue: number;
  readonly prefetch: number;
  /** Among the consumers of its queue. */
  readonly priority?: number;
  readonly works: 'handle' | 'batch' | 'by-hand';
  readonly concurrency?: number;
  /** Messages are worked on in order per key, of which there are this many. */
  readonly keys?: number;
  readonly onError: 'requeue-once' | 'requeue' | 'reject' | 'retry';
  /** How many of a hundred runs fail, and how many hang for a while. */
  readonly fails: number;
  readonly hangs: number;
  /** ms that a run takes, at most. */
  readonly takes: number;
  readonly timeout?: number;
  /** ms that the broker gives it for a delivery. */
  readonly consumerTimeout?: number;
  /** When it is paused, and for how long. */
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
  readonly ends?: { readonly at: number; readonly by: 'until' | 'unsubscribe' };
  /** ms for which another subscriber of the same deliveries stays after it was unsubscribed from. */
  readonly shared?: number;
}

/** A responder on a queue of its own, and somebody who asks. */
export interface RequesterPlan {
  readonly at: number;
  readonly every: number;
  readonly requests: number;
  readonly idempotent: boolean;
  readonly fails: number;
  readonly takes: number;
  readonly timeout: number;
}

/** A consumer of a stream. */
export interface ReaderPlan {
  readonly at: number;
  /** An index into the queues. */
  readonly queue: number;
  readonly from: 'first' | 'next' | number;
  readonly prefetch: number;
  readonly works: 'handle' | 'by-hand';
  readonly concurrency: number;
  readonly onError: 'requeue-once' | 'requeue' | 'reject';
  readonly fails: number;
  readonly takes: number;
  readonly pauses: readonly { readonly at: number; readonly ms: number }[];
  /** When it ends; another one goes on behind the offset that it reported last. */
  readonly resumesAt?: number;
}

/** One that writes often, and a little at a time: it fills the buffers of a slow socket. */
const trickling = (plan: ProducerPlan): ProducerPlan => ({ ...plan, every: 1, messages: 150, maxInFlight: 1000 });

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
  const more = withBursts(withPriorities(withMore(plan, duration)));
  return plan.socket ? withFullSockets(more, plan.socket, duration) : more;
}

/** In one run in five messages of several priorities wait in one queue, for consumers of several priorities. */
function withPriorities(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x5bd1e995);
  if (!random.chance(0.2)) return plan;
  const queue = random.integer(0, plan.queues.filter(({ type }) => type !== 'stream').length - 1);
  return {
    ...plan,
    queues: plan.queues.map((spec, i) =>
      i === queue && spec.type === 'classic' ? { ...spec, maxPriority: random.pick([1, 3, 5, 9]) } : spec,
    ),
    producers: plan.producers.map((one): ProducerPlan => {
      if (random.chance(0.3)) return one;
      const { expires, nowhere, ...rest } = one;
      const messages = random.pick([10, 20, 30, 60]);
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
  };
}

/** Some runs down to the socket have patient senders and a broker that reads late; some have hosts that do not answer. */
function withFullSockets(plan: Plan, socket: SocketPlan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x4cf5ad43);
  if (random.chance(0.1)) {
    const faults = [...socket.faults, ...drawOutages(random, duration)].sort((a, b) => a.at - b.at);
    return { ...plan, socket: { ...socket, faults, connectTimeout: random.integer(1500, 4000) } };
  }
  if (!random.chance(0.05)) return plan;
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
