import { checkOptions, duration, expected, func, integer, oneOf, type Check, type Shape } from '../../options';
import { keepName, sentenceOf } from '../../errors';
import { drawFaults, FAULT_KINDS, type FaultKind } from './faults';
import { Random } from './random';
import { Universe } from './universe';
import { World } from './world';

/** How many universes, and what may go wrong in them. */
export interface SimulateOptions {
  /** How many seeds are run. @default 100 */
  readonly seeds?: number;
  /** The first seed; with `seeds: 1` it repeats one run. @default 1 */
  readonly from?: number;
  /** ms of simulated time within which faults begin and end. @default 30 000 */
  readonly duration?: number;
  /** Faults of a run at most; each run has 0 to that many. @default 4 */
  readonly faults?: number;
  /** The kinds of faults. @default all but 'queue-deleted' and 'denied', which lose messages or need somebody to mend them */
  readonly kinds?: readonly FaultKind[];
}

/** What was simulated. */
export interface SimulationReport {
  readonly seeds: number;
  /** ms of simulated time, in all. */
  readonly simulated: number;
}

/** A simulated run failed. The same seed fails in the same way. */
export class SimulationError extends Error {
  static {
    keepName(this, 'SimulationError');
  }
  readonly seed: number;
  /** What happened in the run, with times: faults, and what the app noted. */
  readonly timeline: readonly string[];

  constructor(seed: number, timeline: readonly string[], cause: unknown) {
    const repeat = `Repeat it with { from: ${String(seed)}, seeds: 1 }.`;
    const events = timeline.slice(-LAST).join('\n');
    super(`Seed ${String(seed)} failed: ${sentenceOf(cause)}\n${repeat}\n${events}`, { cause });
    this.name = new.target.name;
    this.seed = seed;
    this.timeline = timeline;
  }
}

/** Events shown with an error. */
const LAST = 30;
/** ms of simulated time that a run may take beyond its faults. */
const LIMIT = 3_600_000;

const kind = oneOf(...FAULT_KINDS);
const kinds: Check = (value) =>
  Array.isArray(value) && value.every((one) => kind(one) === undefined) ? undefined : `a list, each ${kind('') ?? ''}`;

const SIMULATE: Shape<SimulateOptions> = {
  seeds: integer(1, Number.MAX_SAFE_INTEGER),
  from: integer(0, 2 ** 32 - 1),
  duration: duration(1000),
  faults: integer(0, 1000),
  kinds,
};

const USUAL = FAULT_KINDS.filter((kind) => kind !== 'queue-deleted' && kind !== 'denied');

/**
 * Runs an app in many small universes, each made from a seed: its own broker in memory, a network with faults, simulated time. The
 * faults are those of production: connections cut between any two messages, silence until the heartbeat fails, a broker that
 * restarts, blocks, nacks, closes channels, cancels consumers or elects a leader. The app is ordinary code, with its own
 * assertions: it fails by throwing. The same seed always runs in the same way.
 *
 * While it runs, timers, clocks and `Math.random` of the whole process are simulated: run it alone, and without real I/O in the app.
 *
 * Resolves when every seed has passed. Rejects: SimulationError for the first seed in which the app rejects, throws in a callback,
 * leaves a rejection unhandled, or does not end within an hour of simulated time; OptionsError.
 *
 * @example
 * await simulate(
 *   async (universe) => {
 *     const queue = universe.connect();
 *     const stock = startStock(queue);
 *     await queue.send({ queue: 'sold', body: { item: 'tea', count: 2 } });
 *     await universe.calm();
 *     expect(stock.sold('tea')).toBe(2);
 *   },
 *   { seeds: 500 },
 * );
 */
export async function simulate(
  app: (universe: Universe) => Promise<void>,
  options: SimulateOptions = {},
): Promise<SimulationReport> {
  if (func(app) !== undefined) throw expected('app', 'a function', app);
  checkOptions(options, SIMULATE, { of: 'simulate()' });
  const { seeds = 100, from = 1 } = options;
  let simulated = 0;
  for (let seed = from; seed < from + seeds; seed++) simulated += await simulateOne(app, seed, options);
  return { seeds, simulated };
}

async function simulateOne(
  app: (universe: Universe) => Promise<void>,
  seed: number,
  { duration: within = 30_000, faults: most = 4, kinds = USUAL }: SimulateOptions,
): Promise<number> {
  const random = new Random(seed);
  const [first, ...others] = kinds;
  const faults = first === undefined ? [] : drawFaults(random, random.integer(0, most), within, [first, ...others]);
  const world = new World(seed);
  const universe = new Universe(world, seed, { faults });
  const fail = (cause: unknown): never => {
    throw new SimulationError(seed, universe.timeline, cause);
  };
  let ended: unknown;
  try {
    ended = await world.run(async () => {
      try {
        await app(universe);
      } finally {
        await universe.end();
      }
    }, LIMIT);
  } catch (error) {
    fail(error);
  }
  const [uncaught] = world.uncaught;
  if (uncaught) fail(uncaught.error);
  if (ended === undefined)
    fail(new Error('The app did not end: it waits for something that nothing in this universe gives.'));
  return world.now;
}
