/**
 * `npm run simulate:planted [-- name … --seeds 10000]`: plants one mistake after the other, and counts the seeds until the oracle
 * finds it.
 */
import { parseArgs } from 'node:util';
import { PLANTED } from './planted';
import type { Failure } from './seeds.worker';
import { bundle, runShare, type Patch } from './threads';

const { values, positionals } = parseArgs({
  // A mistake that this many seeds do not find is not found.
  options: { seeds: { type: 'string', default: '10000' } },
  allowPositionals: true,
});
const SEEDS = Number(values.seeds);

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** The first seed that fails, and how many seeds that took. */
async function find(patch: Patch): Promise<{ readonly failure: Failure | undefined; readonly seeds: number }> {
  let seeds = 0;
  const program = await bundle(patch);
  const found: Failure[] = [];
  const running = [1, 2].map((from) =>
    runShare(program, { mode: patch.mode ?? 'port', from, to: SEEDS + 1, stride: 2, first: true }, (told) => {
      const { failures } = told;
      seeds += told.seeds;
      found.push(...failures);
      if (failures.length > 0) for (const { stop } of running) stop();
    }),
  );
  await Promise.all(running.map(({ done }) => done));
  return { failure: found[0], seeds };
}

async function main(names: readonly string[]): Promise<void> {
  const chosen = Object.entries(PLANTED).filter(([name]) => names.length === 0 || names.includes(name));
  let count = 0;
  for (const [name, patch] of chosen) {
    const { failure, seeds } = await find(patch);
    if (failure) count++;
    say(
      `${name.padEnd(56)} ${failure ? `after ${String(seeds).padStart(5)} seeds  ${failure.rules.join(', ')}` : 'NOT FOUND'}`,
    );
  }
  say(`${String(count)} of ${String(chosen.length)} found within ${String(SEEDS)} seeds each`);
}

void main(positionals);
