import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { INSTRUMENTER_CONSTANTS } from '@stryker-mutator/api/core';
import { declareClassPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { DryRunStatus, MutantRunStatus, TestStatus } from '@stryker-mutator/api/test-runner';
import { WarmTests } from './warm-tests.mjs';

/** ms. The first run of all tests, which notes what each of them reaches, has time. */
const NO_LIMIT = 600_000;
/** ms that any test may take with a mutant, those with a broker more than others; and how many times what it took without. */
const LEAST = { memory: 3000, broker: 10_000 };
const TIMES = 8;
/** In the sandbox: what each test took, for a runner that was started again. */
const TIMES_TAKEN = '.times-taken.json';
const SEPARATOR = ' › ';
/** Instrumented code takes longer than the first allows; the other starts a broker of its own each time. */
const LEFT_OUT = /time that grows with|^an exchange of the type/;

/** Is a test in the room of a mutated file? */
const isOfRoom = (test, mutated) => mutated.includes(`lib/${/^spec\/\w+\/([^/]+)\//.exec(test)?.[1]}/`);
const needsBroker = (test) => test.startsWith('spec/integration/');

function byFileOf(ids) {
  const files = {};
  for (const id of ids) (files[id.slice(0, id.indexOf(SEPARATOR))] ??= []).push(id);
  return Object.entries(files);
}

/**
 * Runs mutants in test files that stay loaded. A mutant that a test kills is taken away, and the test runs once more: if it still
 * fails, an earlier mutant has left something behind, and Stryker starts the runner again and repeats the mutant.
 */
class WarmRunner {
  #tests;
  /** What the instrumented code reads, and counts in. */
  #instrumented = {};
  /** By test. */
  #ms = {};

  capabilities() {
    return { reloadEnvironment: false };
  }

  async init() {
    if (existsSync(TIMES_TAKEN)) this.#ms = JSON.parse(readFileSync(TIMES_TAKEN, 'utf8'));
    this.#tests = await WarmTests.load('spec/mutation/jest.config.cjs', {
      [INSTRUMENTER_CONSTANTS.NAMESPACE]: this.#instrumented,
    });
  }

  async dryRun() {
    const results = [];
    for (const file of this.#tests.files) {
      const idOf = (name) => `${file}${SEPARATOR}${name}`;
      const outcomes = await this.#tests.run(file, {
        bail: false,
        wanted: (name) => !LEFT_OUT.test(name),
        limitOf: () => NO_LIMIT,
        started: (name) => (this.#instrumented.currentTestId = idOf(name)),
        ended: () => (this.#instrumented.currentTestId = undefined),
      });
      for (const { name, ms, failure } of outcomes) {
        const [id, fileName, timeSpentMs] = [idOf(name), resolve(file), Math.ceil(ms)];
        const outcome =
          failure === undefined
            ? { status: TestStatus.Success }
            : { status: TestStatus.Failed, failureMessage: failure };
        this.#ms[id] = ms;
        results.push({ id, name: id, fileName, timeSpentMs, ...outcome });
      }
    }
    writeFileSync(TIMES_TAKEN, JSON.stringify(this.#ms));
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage: this.#instrumented.mutantCoverage };
  }

  async mutantRun({ activeMutant, hitLimit, testFilter = Object.keys(this.#ms) }) {
    const { fileName } = activeMutant;
    // Tests with a broker are for their own room alone: they take long, and every send is in all of them.
    const chosen = testFilter.filter((id) => !needsBroker(id) || isOfRoom(id, fileName));
    // Those of its room are the likeliest to find it; then the quickest: one test that fails is enough.
    const costOf = ([file, ids]) =>
      ids.reduce((sum, id) => sum + (this.#ms[id] ?? 0), isOfRoom(file, fileName) ? 0 : NO_LIMIT);
    const files = byFileOf(chosen).sort((a, b) => costOf(a) - costOf(b));
    let nrOfTests = 0;
    for (const [file, ids] of files) {
      const wanted = new Set(ids.map((id) => id.slice(file.length + SEPARATOR.length)));
      const limitOf = (name) =>
        Math.max(
          needsBroker(file) ? LEAST.broker : LEAST.memory,
          TIMES * (this.#ms[`${file}${SEPARATOR}${name}`] ?? 0),
        );
      this.#tests.namesIn(file);
      Object.assign(this.#instrumented, {
        activeMutant: activeMutant.id,
        hitLimit,
        hitCount: hitLimit === undefined ? undefined : 0,
      });
      const outcomes = await this.#tests.run(file, { wanted: (name) => wanted.has(name), limitOf });
      Object.assign(this.#instrumented, { activeMutant: undefined, hitLimit: undefined, hitCount: undefined });
      nrOfTests += outcomes.length;
      const killer = outcomes.find(({ failure }) => failure !== undefined);
      if (!killer) continue;
      const [again] = await this.#tests.run(file, { wanted: (name) => name === killer.name, limitOf });
      if (again?.failure !== undefined) throw new Error(`${killer.name} fails without a mutant: ${again.failure}`);
      const killedBy = [`${file}${SEPARATOR}${killer.name}`];
      return { status: MutantRunStatus.Killed, failureMessage: killer.failure, killedBy, nrOfTests };
    }
    return { status: MutantRunStatus.Survived, nrOfTests };
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'warm', WarmRunner)];
