/**
 * Fuzzes everything that reads bytes: `npm run fuzz -- [--executions 1000000] [--seconds 60] [--seed 1] [--target tables]`.
 * Inputs that reach new code join the corpus with `--keep`; an input that shows a fault is always written there, and is then part of the usual tests.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CORPUS, corpusOf } from './corpus';
import { fuzz } from './fuzzer';
import { TARGETS } from './targets';

const { values } = parseArgs({
  options: {
    executions: { type: 'string', default: '1000000' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    target: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
// Most inputs are refused, and the stacks of the errors would take half of the time.
Error.stackTraceLimit = 0;
const executions = Number(values.executions);
const counts = (url: string): boolean =>
  /\/(lib|amqplib\/lib)\/[^/]+(\/[^/]+)*\.[jt]s$/.test(url) && !url.includes('/spec/');

function save(target: string, data: Buffer): string {
  const folder = join(CORPUS, target);
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash('sha256').update(data).digest('hex').slice(0, 16));
  writeFileSync(path, data);
  return path;
}

let total = 0;
for (const [name, { run, seeds }] of Object.entries(TARGETS)) {
  if (values.target !== undefined && values.target !== name) continue;
  const began = performance.now();
  const corpus = [...seeds, ...corpusOf(name)];
  const reached = (data: Buffer): void => {
    if (values.keep) save(name, data);
  };
  const {
    executions: done,
    functions,
    missing,
    finding,
  } = fuzz(run, {
    corpus,
    executions,
    seed: Number(values.seed),
    counts,
    reached,
    ...(values.seconds !== undefined && { within: 1000 * Number(values.seconds) }),
  });
  total += done;
  const rate = Math.round(done / ((performance.now() - began) / 1000));
  console.log(
    `${name}: ${String(done)} executions, ${String(functions)} functions but for ${String(missing)} blocks, ${String(rate)}/s, seed ${values.seed}`,
  );
  if (finding) {
    process.exitCode = 1;
    console.error(`${name}: a fault, kept as ${save(name, finding.data)}`, finding.error);
  }
}
console.log(`${String(total)} executions in all`);
