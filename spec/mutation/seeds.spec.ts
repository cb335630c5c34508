import { planOf } from '../simulation/draw-plan';
import type { Mode } from '../simulation/plan';
import { runPlan } from '../simulation/run-plan';

// The simulator as a test of mutants. In tests of a few seeds each, so that a mutant is run on those alone that reach it, and only until
// the first of them finds it.

/** Seeds, and seeds per test. */
const PORT = { mode: 'port', seeds: 240, each: 10 } as const;
const SOCKET = { mode: 'socket', seeds: 60, each: 5 } as const;

const shares = [PORT, SOCKET].flatMap(({ mode, seeds, each }) =>
  Array.from({ length: seeds / each }, (_, i): [Mode, number, number] => [mode, 1 + i * each, (i + 1) * each]),
);

test.each(shares)('mode %s: seeds %i to %i break no rule', async (mode, from, to) => {
  for (let seed = from; seed <= to; seed++) {
    const { violations } = await runPlan(planOf(seed, mode));
    expect({ seed, violations }).toEqual({ seed, violations: [] });
  }
});
