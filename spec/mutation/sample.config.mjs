import { readFileSync } from 'node:fs';

// As stryker.config.json, but for a sample of the mutants of all rooms: see sample-checker.mjs.
const base = JSON.parse(readFileSync('spec/mutation/stryker.config.json', 'utf8'));

export default {
  ...base,
  mutate: ['lib/**/*.ts', '!lib/index.ts'],
  plugins: ['@stryker-mutator/jest-runner', './spec/mutation/sample-checker.mjs'],
  checkers: ['sample'],
  incremental: false,
  // With all of lib/ instrumented.
  dryRunTimeoutMinutes: 30,
  // Jest keeps some of what each run loads.
  maxTestRunnerReuse: 60,
  reporters: ['progress-append-only', 'json'],
  jsonReporter: { fileName: 'node_modules/.cache/mutation/sample.json' },
};
