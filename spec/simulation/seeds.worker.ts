/** Runs seeds in a thread of its own: every `stride`th from `from` on, below `to`. */
import { parentPort, workerData } from 'node:worker_threads';
import { planOf } from './draw-plan';
import type { Mode } from './plan';
import { runPlan } from './run-plan';

export interface Share {
  readonly mode: Mode;
  readonly from: number;
  readonly to: number;
  readonly stride: number;
  /** End with the first seed that fails. */
  readonly first: boolean;
}

/** What a thread reports, one message for several seeds. */
export interface Told {
  readonly seeds: number;
  /** ms of simulated time. */
  readonly time: number;
  /** Of all traces. */
  readonly hash: number;
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly seed: number;
  readonly rules: readonly string[];
  readonly what: string;
}

/** Seeds per message. */
const PER_MESSAGE = 50;

// A seed that fails is repeated with its stacks. They are costly, and most runs have hundreds of errors.
Error.stackTraceLimit = 0;

async function work({ mode, from, to, stride, first }: Share): Promise<void> {
  let told = { seeds: 0, time: 0, hash: 0, failures: [] as Failure[] };
  const tell = (): void => {
    parentPort?.postMessage(told);
    told = { seeds: 0, time: 0, hash: 0, failures: [] };
  };
  for (let seed = from; seed < to; seed += stride) {
    const { violations, trace, time } = await runPlan(planOf(seed, mode));
    told.seeds++;
    told.time += time;
    told.hash = (told.hash + Number.parseInt(trace, 16) * (seed % 1009)) % 2 ** 32;
    if (violations.length > 0) {
      told.failures.push({ seed, rules: violations.map(({ rule }) => rule), what: violations[0]?.what ?? '' });
      if (first) break;
    }
    if (told.seeds === PER_MESSAGE) tell();
  }
  tell();
}

void work(workerData as Share);
