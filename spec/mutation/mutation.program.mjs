/**
 * The mutation score of `lib/`: `npm run mutation -- [--mutate 'lib/producer/*.ts'] [--sample 25 [--seed 1]] [--seeds]`.
 *
 * A full run keeps its verdicts, and the next one tests only what has changed since. `--sample` tests as many mutants of each room,
 * `--survivors FILE` those again that an earlier run left there. `--seeds` adds the seeds of the simulator to the tests.
 */
import { Stryker } from '@stryker-mutator/core';
import { accessSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { startBroker } = require('../../compose/broker');
const { publishBrokers } = require('../support/brokers/test-brokers');
const { printScores } = require('./scores');

const CACHE = 'node_modules/.cache/mutation';

const { values } = parseArgs({
  options: {
    mutate: { type: 'string', default: 'lib/**/*.ts' },
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    survivors: { type: 'string' },
    seeds: { type: 'boolean', default: false },
    concurrency: { type: 'string', default: String(availableParallelism()) },
  },
});
// At once, and not after the tests have run without mutants.
if (values.survivors !== undefined) accessSync(values.survivors);
const partial = values.sample !== undefined || values.survivors !== undefined;
const report = `${CACHE}/${partial ? 'sample' : 'mutation'}.json`;
// For the processes that Stryker starts.
Object.assign(process.env, {
  COMMANDS: 'in-process',
  MUTATION_SEEDS: values.seeds ? 'on' : 'off',
  MUTATION_SAMPLE: JSON.stringify({ size: values.sample, seed: values.seed, survivors: values.survivors }),
});

const broker = await startBroker({ private: true, say: (line) => process.stderr.write(`broker: ${line}\n`) });
publishBrokers({ own: [broker.handle] });
try {
  await new Stryker({
    testRunner: 'warm',
    plugins: ['./spec/mutation/warm-runner.mjs', './spec/mutation/sample-checker.mjs'],
    checkers: partial ? ['sample'] : [],
    mutate: [...values.mutate.split(','), '!lib/index.ts'],
    coverageAnalysis: 'perTest',
    // What is evaluated once, as the modules are loaded, would need modules loaded anew.
    ignoreStatic: true,
    allowEmpty: true,
    incremental: !partial,
    incrementalFile: `${CACHE}/incremental.json`,
    concurrency: Number(values.concurrency),
    maxTestRunnerReuse: 500,
    timeoutMS: 5000,
    dryRunTimeoutMinutes: 30,
    reporters: partial ? ['progress-append-only', 'json'] : ['progress-append-only', 'json', 'html'],
    jsonReporter: { fileName: report },
    htmlReporter: { fileName: `${CACHE}/mutation.html` },
    tempDirName: '.stryker-tmp',
    ignorePatterns: ['dist', 'coverage', 'docs', 'demo/site', '.git'],
  }).runMutationTest();
  printScores(report, `${CACHE}/survivors.json`);
} finally {
  await broker.stop();
}
