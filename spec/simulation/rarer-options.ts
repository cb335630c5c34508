import type { QueueSpec } from 'instance-queue';
import { Random } from '../../lib/testing/simulation/random';
import type { ConsumerPlan, LettersPlan, Plan, ProducerPlan, ReaderPlan } from './plan';

/** Options of which most apps need none. Each addition draws its own numbers, so that a new one changes no other. */
export const withRareOptions = (plan: Plan, duration: number): Plan =>
  withLetters(withResize(withFilters(withForeign(withTransient(withConsumers(withLimits(plan)), duration)))), duration);

/** In one run in thirty a queue forgets messages, or is itself forgotten. */
function withLimits(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x68e31da4);
  if (!random.chance(0.035)) return plan;
  const chosen = random.integer(0, plan.queues.length - 1);
  return {
    ...plan,
    queues: plan.queues.map(({ ...spec }, i) => {
      if (spec.type === 'stream') return { ...spec, maxAge: random.chance(0.5) ? '12h' : 60_000 };
      return i === chosen ? limited(random, spec) : spec;
    }),
  };
}

function limited(random: Random, { maxLength, overflow, ...spec }: QueueSpec): QueueSpec {
  const isClassic = spec.type === 'classic';
  switch (random.pick(['ttl', 'ttl', 'expires', 'bytes', 'bytes', 'length', 'auto-delete'])) {
    case 'ttl':
      return { ...spec, messageTtl: random.pick([5, 200, 5000]) };
    case 'expires':
      return { ...spec, expires: random.pick([200, 2000, 10_000]) };
    case 'bytes':
      return {
        ...spec,
        maxLengthBytes: random.pick([50, 100, 400]),
        overflow: random.pick(['drop-head', 'reject-publish', isClassic ? 'reject-publish-dlx' : 'drop-head']),
      };
    case 'length':
      return { ...spec, maxLength: random.integer(1, 10), ...(random.chance(0.5) && { overflow: 'drop-head' }) };
    case 'auto-delete':
      return isClassic ? { ...spec, autoDelete: true } : { ...spec, messageTtl: 1000 };
  }
}

/** In one run in twenty consumers have rare options, and say which queue they mean by its contract. */
function withConsumers(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x7a4f21c3);
  if (!random.chance(0.05)) return plan;
  const isAlone = ({ queue }: ConsumerPlan): boolean =>
    plan.consumers.filter((one) => one.queue === queue).length === 1;
  return {
    ...plan,
    producers: plan.producers.map((one): ProducerPlan => {
      const contract = one.by === 'send' && one.through === 'queue' && random.chance(0.4);
      return contract ? { ...one, contract } : one;
    }),
    consumers: plan.consumers.map((one): ConsumerPlan => {
      const exclusive = isAlone(one) && !plan.queues[one.queue]?.singleActiveConsumer && random.chance(0.4);
      const { consumerTimeout, shared, ...rest } = one;
      const named = {
        ...(exclusive && { exclusive }),
        ...(random.chance(0.3) && { tagPrefix: 'app' }),
        ...(random.chance(0.3) && { topology: true as const }),
      };
      switch (random.pick(['noAck', 'unreadable', 'contract', 'none'])) {
        case 'noAck':
          return { ...rest, ...named, noAck: true };
        case 'unreadable':
          return {
            ...one,
            ...named,
            unreadable: { oneIn: random.integer(1, 5), policy: random.pick(['reject', 'requeue']) },
          };
        case 'contract':
          return { ...one, ...named, contract: true };
        case 'none':
          return { ...one, ...named };
      }
    }),
  };
}

/** In one run in thirty producers send what need not survive a restart of the broker. */
function withTransient(plan: Plan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x3b9aca07);
  if (!random.chance(0.03)) return plan;
  const restart = { at: random.integer(1, duration / 2), kind: 'restart', ms: random.integer(50, 3000) } as const;
  const faults = random.chance(0.6) ? [...plan.faults, restart].sort((a, b) => a.at - b.at) : plan.faults;
  const producers = plan.producers.map((one): ProducerPlan => (random.chance(0.6) ? { ...one, transient: true } : one));
  return { ...plan, faults, producers };
}

/** In one run in fifty a queue belongs to somebody else: the app declares nothing of it. */
function withForeign(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x5851f42d);
  if (!random.chance(0.02) || plan.faults.some(({ kind }) => kind === 'queue-deleted')) return plan;
  const queue = random.integer(0, plan.queues.filter(({ type }) => type !== 'stream').length - 1);
  const by = random.pick(['declare-false', 'passive']);
  return {
    ...plan,
    foreign: { queue, by },
    queues: plan.queues.map(({ expires, autoDelete, ...spec }, i) =>
      i === queue ? spec : { ...spec, ...(expires !== undefined && { expires }), ...(autoDelete && { autoDelete }) },
    ),
    // A delay needs queues that the library declares.
    producers: plan.producers.map(({ delays, contract, ...one }): ProducerPlan => {
      return one.queue === queue ? one : { ...one, ...(delays && { delays }), ...(contract && { contract }) };
    }),
    consumers: plan.consumers.map(({ contract, topology, ...one }): ConsumerPlan => {
      return one.queue === queue ? one : { ...one, ...(contract && { contract }), ...(topology && { topology }) };
    }),
  };
}

/** In one run in four that read streams they filter them. */
function withFilters(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x14057b7e);
  if (!plan.readers || plan.version.startsWith('3.') || !random.chance(0.25)) return plan;
  return {
    ...plan,
    producers: plan.producers.map((one): ProducerPlan => {
      return plan.queues[one.queue]?.type === 'stream' && random.chance(0.8) ? { ...one, filters: true } : one;
    }),
    readers: plan.readers.map((one): ReaderPlan => {
      const values = random.pick<readonly string[]>([['a'], ['b'], ['a', 'b'], ['none']]);
      return random.chance(0.7) ? { ...one, filter: { values, matchUnfiltered: random.chance(0.4) } } : one;
    }),
  };
}

/** In two of five runs with a partitioned queue it is made anew with another number of partitions. */
function withResize(plan: Plan): Plan {
  const random = new Random(plan.seed ^ 0x2f0b4c47);
  if (!plan.partitions || !random.chance(0.4)) return plan;
  return { ...plan, partitions: { ...plan.partitions, resize: random.integer(1, 6) } };
}

/** In one run in thirty somebody looks after the dead letters, in one way. */
function withLetters(plan: Plan, duration: number): Plan {
  const random = new Random(plan.seed ^ 0x6c078965);
  if (!random.chance(0.03)) return plan;
  const taking = random.pick(['replay', 'replay', 'move', 'drop']);
  return {
    ...plan,
    letters: Array.from({ length: random.integer(1, 3) }, (): LettersPlan => ({
      at: random.integer(100, duration / 2),
      does: random.chance(0.3) ? 'groups' : taking,
      ...(random.chance(0.3) && { limit: random.integer(1, 10) }),
      ...(taking === 'move' && random.chance(0.4) && { nowhere: true as const }),
    })),
    consumers: plan.consumers.map((one): ConsumerPlan => {
      return one.onError === 'fail' || one.retry ? one : { ...one, onError: 'reject', fails: random.pick([20, 60]) };
    }),
  };
}
