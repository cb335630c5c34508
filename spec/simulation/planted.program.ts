/** `npm run simulate:planted [-- name …]`: plants one mistake after the other, and counts the seeds until the oracle finds it. */
import { PLANTED } from './planted';
import type { Failure } from './seeds.worker';
import { bundle, runShare, type Patch } from './threads';

/** A mistake that this many seeds do not find is not found. */
const SEEDS = 10_000;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** The first seed that fails. */
async function find(patch: Patch): Promise<Failure | undefined> {
  const program = await bundle(patch);
  const found: Failure[] = [];
  const running = [1, 2].map((from) =>
    runShare(program, { mode: patch.mode ?? 'port', from, to: SEEDS + 1, stride: 2, first: true }, ({ failures }) => {
      found.push(...failures);
      if (failures.length > 0) for (const { stop } of running) stop();
    }),
  );
  await Promise.all(running.map(({ done }) => done));
  return found[0];
}

async function main(names: readonly string[]): Promise<void> {
  const chosen = Object.entries(PLANTED).filter(([name]) => names.length === 0 || names.includes(name));
  let count = 0;
  for (const [name, patch] of chosen) {
    const failure = await find(patch);
    if (failure) count++;
    say(
      `${name.padEnd(56)} ${failure ? `seed ${String(failure.seed).padStart(5)}  ${failure.rules.join(', ')}` : 'NOT FOUND'}`,
    );
  }
  say(`${String(count)} of ${String(chosen.length)} found within ${String(SEEDS)} seeds each`);
}

void main(process.argv.slice(2));
