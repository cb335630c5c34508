import type { Plan } from './plan';
import { runPlan } from './run-plan';

const PRODUCER_OPTIONS = [
  'nowhere',
  'expires',
  'priorities',
  'delays',
  'carries',
  'bytes',
  'transient',
  'contract',
  'filters',
] as const;
const CONSUMER_OPTIONS = [
  'ends',
  'priority',
  'changes',
  'keys',
  'concurrency',
  'noAck',
  'exclusive',
  'tagPrefix',
  'contract',
  'topology',
  'unreadable',
] as const;

/** Plans that are a little smaller, the largest steps first. */
function* smaller(plan: Plan): Generator<Plan> {
  const edited = <K extends 'producers' | 'consumers' | 'requesters'>(
    list: K,
    edit: (actor: Plan[K][number]) => Plan[K][number] | undefined,
  ): Plan[] =>
    plan[list].flatMap((actor: Plan[K][number], i) => {
      const change = edit(actor);
      return change ? [{ ...plan, [list]: plan[list].map((one, at) => (at === i ? change : one)) }] : [];
    });
  for (const list of ['faults', 'requesters', 'producers', 'consumers', 'readers'] as const) {
    const all = plan[list] ?? [];
    const { length } = all;
    if (length > 1) {
      yield { ...plan, [list]: all.slice(0, Math.ceil(length / 2)) };
      yield { ...plan, [list]: all.slice(Math.ceil(length / 2)) };
    }
    for (let i = 0; i < length; i++) yield { ...plan, [list]: all.filter((_, at) => at !== i) };
  }
  for (const name of PRODUCER_OPTIONS) {
    yield* edited('producers', ({ [name]: given, ...one }) => (given === undefined ? undefined : one));
  }
  for (const name of CONSUMER_OPTIONS) {
    yield* edited('consumers', ({ [name]: given, ...one }) => (given === undefined ? undefined : one));
  }
  const half = (count: number): number => Math.max(1, Math.floor(count / 2));
  yield* edited('producers', (one) => (one.messages > 1 ? { ...one, messages: half(one.messages) } : undefined));
  yield* edited('producers', (one) => (one.messages > 1 ? { ...one, messages: one.messages - 1 } : undefined));
  yield* edited('producers', ({ burst = 1, ...one }) => (burst > 1 ? { ...one, burst: half(burst) } : undefined));
  yield* edited('requesters', (one) => (one.requests > 1 ? { ...one, requests: half(one.requests) } : undefined));
  yield* edited('producers', (one) => (one.aborts > 0 ? { ...one, aborts: 0 } : undefined));
  yield* edited('producers', ({ closeAt, ...one }) => (closeAt === undefined ? undefined : one));
  yield* edited('consumers', (one) => (one.pauses.length > 0 ? { ...one, pauses: [] } : undefined));
  yield* edited('consumers', (one) => (one.fails + one.hangs > 0 ? { ...one, fails: 0, hangs: 0 } : undefined));
  const { partitions, ...unpartitioned } = plan;
  if (partitions) yield unpartitioned;
  const { letters, ...unread } = plan;
  if (letters) yield unread;
  if (letters && letters.length > 1) yield { ...plan, letters: letters.slice(1) };
  if (partitions?.resize !== undefined) {
    const { resize, ...unchanged } = partitions;
    yield { ...plan, partitions: unchanged };
  }
  const { closeAt, ...open } = plan;
  if (closeAt !== undefined) yield open;
}

/** The smallest plan found that still breaks this rule. */
export async function shrink(plan: Plan, rule: string, tries = 400): Promise<Plan> {
  let best = plan;
  let left = tries;
  for (let shrunk = true; shrunk && left > 0;) {
    shrunk = false;
    for (const candidate of smaller(best)) {
      if (left-- <= 0) break;
      const { violations } = await runPlan(candidate);
      if (!violations.some((one) => one.rule === rule)) continue;
      best = candidate;
      shrunk = true;
      break;
    }
  }
  return best;
}
