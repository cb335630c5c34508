import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mode, Plan } from './plan';
import { PLANTED } from './planted';
import { runPlan } from './run-plan';
import type { Failure, Share } from './seeds.worker';
import { bundle, patched, runShare } from './threads';

let program: string;
beforeAll(async () => {
  program = await bundle();
});

/** Runs seeds in a thread, outside of Jest's sandbox: there they run at full speed. */
async function run(
  share: Omit<Share, 'stride' | 'first' | 'mode'>,
  mode: Mode = 'port',
): Promise<{ failures: readonly Failure[]; hash: number }> {
  const failures: Failure[] = [];
  let hash = 0;
  await runShare(program, { ...share, mode, stride: 1, first: false }, (told) => {
    failures.push(...told.failures);
    hash = (hash + told.hash) % 2 ** 32;
  }).done;
  return { failures, hash };
}

/** ms: half a minute of one core, which others may be using. */
const PATIENCE = 600_000;

test(
  'fifteen hundred seeds break no rule',
  async () => {
    expect((await run({ from: 1, to: 1501 })).failures).toEqual([]);
  },
  PATIENCE,
);

test(
  'a seed always runs in the same way, whatever else the machine does',
  async () => {
    const alone = await run({ from: 5000, to: 5200 });
    const [busy] = await Promise.all([run({ from: 5000, to: 5200 }), run({ from: 7000, to: 7200 })]);
    expect(busy.hash).toBe(alone.hash);
    const other = await run({ from: 5001, to: 5201 });
    expect(other.hash).not.toBe(alone.hash);
  },
  PATIENCE,
);

test(
  'three hundred seeds break no rule down to the socket',
  async () => {
    expect((await run({ from: 1, to: 301 }, 'socket')).failures).toEqual([]);
  },
  PATIENCE,
);

test(
  'a seed always runs in the same way down to the socket',
  async () => {
    const [one, same] = await Promise.all([
      run({ from: 301, to: 351 }, 'socket'),
      run({ from: 301, to: 351 }, 'socket'),
    ]);
    expect(same.hash).toBe(one.hash);
    const other = await run({ from: 302, to: 352 }, 'socket');
    expect(other.hash).not.toBe(one.hash);
  },
  PATIENCE,
);

test.each(Object.entries(PLANTED))('the planted mistake %s can still be planted', (_, patch) => {
  expect(patched(patch)).toContain(patch.replace);
});

// Plans in which a rule was broken once: `npm run simulate -- --plan spec/simulation/found/<name>.json` shows one.
const folder = join(__dirname, 'found');
const found = readdirSync(folder).filter((name) => name.endsWith('.json'));

test.each(found)('%s breaks no rule', async (name) => {
  const { violations } = await runPlan(JSON.parse(readFileSync(join(folder, name), 'utf8')) as Plan);
  expect(violations).toEqual([]);
});
