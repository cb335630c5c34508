/**
 * `npm run simulate -- --seeds 10000 [--from 1] [--threads 2] [--save folder]`: runs seeds, shrinks those that fail, and saves them.
 * `npm run simulate -- --seed 7`: one seed, with its timeline. `--plan file.json`: a saved plan.
 * `--mode socket`: down to the socket, with amqplib; without it, down to the transport port.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { planOf } from './draw-plan';
import type { Mode, Plan } from './plan';
import { runPlan } from './run-plan';
import type { Failure } from './seeds.worker';
import { shrink } from './shrink';
import { bundle, runShare } from './threads';

/** How many failures are shrunk and saved, one per set of rules first. */
const SHRUNK = 10;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    plan: { type: 'string' },
    mode: { type: 'string', default: 'port' },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    save: { type: 'string', default: join(__dirname, 'found') },
  },
});

if (values.mode !== 'port' && values.mode !== 'socket') {
  throw new Error(`Expected \`--mode\` to be port or socket, got ${values.mode}`);
}
const mode: Mode = values.mode;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

async function one(plan: Plan): Promise<void> {
  const { violations, trace, time, timeline } = await runPlan(plan);
  say(JSON.stringify(plan, undefined, 2));
  for (const line of timeline) say(line);
  say(`\nseed ${String(plan.seed)}: ${(time / 1000).toFixed(1)} s of simulated time, trace ${trace}`);
  for (const { rule, what } of violations) say(`VIOLATION of ${rule}: ${what}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

async function many(from: number, seeds: number, threads: number): Promise<void> {
  const program = await bundle();
  const began = process.hrtime.bigint();
  const ms = (): number => Number(process.hrtime.bigint() - began) / 1e6;
  const total = { seeds: 0, time: 0, hash: 0 };
  const failures: Failure[] = [];
  let shown = 0;
  const shares = Array.from({ length: threads }, (_, i) => ({
    mode,
    from: from + i,
    to: from + seeds,
    stride: threads,
    first: false,
  }));
  const running = shares.map((share) =>
    runShare(program, share, (told) => {
      total.seeds += told.seeds;
      total.time += told.time;
      total.hash = (total.hash + told.hash) % 2 ** 32;
      failures.push(...told.failures);
      if (ms() - shown < 5000) return;
      shown = ms();
      say(
        `${String(total.seeds)} seeds, ${String(failures.length)} failed, ${String(Math.round((total.seeds / ms()) * 60_000))} a minute`,
      );
    }),
  );
  await Promise.all(running.map(({ done }) => done));
  const wall = ms();
  say(
    `${String(total.seeds)} seeds in ${(wall / 1000).toFixed(1)} s: ${String(Math.round((total.seeds / wall) * 60_000))} a minute, ` +
      `${String(Math.round(total.time / wall))} times as fast as the simulated time; traces ${total.hash.toString(16)}; ${String(failures.length)} failed`,
  );
  await report(failures);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

/** Shrinks failures of different kinds, and saves them as tests. */
async function report(failures: readonly Failure[]): Promise<void> {
  const kinds = new Map<string, Failure[]>();
  for (const failure of failures)
    for (const rule of failure.rules) kinds.set(rule, [...(kinds.get(rule) ?? []), failure]);
  mkdirSync(values.save, { recursive: true });
  for (const [rule, of] of [...kinds].slice(0, SHRUNK)) {
    say(
      `\n${rule}: ${String(of.length)} seeds, such as ${of
        .slice(0, 8)
        .map(({ seed }) => String(seed))
        .join(', ')}`,
    );
    const [first] = of;
    if (!first) continue;
    const plan = await shrink(planOf(first.seed, mode), rule);
    const file = join(values.save, `${rule}-${mode === 'socket' ? 'socket-' : ''}${String(first.seed)}.json`);
    writeFileSync(file, `${JSON.stringify(plan, undefined, 2)}\n`);
    say(`  ${first.what}\n  shrunk to ${String(plan.faults.length)} faults: ${file}`);
  }
}

if (values.plan !== undefined) void one(JSON.parse(readFileSync(values.plan, 'utf8')) as Plan);
else if (values.seed !== undefined) void one(planOf(Number(values.seed), mode));
else void many(Number(values.from), Number(values.seeds), Number(values.threads));
