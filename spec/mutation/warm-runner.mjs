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
/** In the sandbox: the tests by their ids, for a runner that was started again. */
const TESTS = '.tests.json';
/** Instrumented code takes longer than the first allows; the other starts a broker of its own each time. */
const LEFT_OUT = /time that grows with|^an exchange of the type/;

/** Is a test file in the room of a mutated file? */
const isOfRoom = (file, mutated) => mutated.includes(`lib/${/^spec\/\w+\/([^/]+)\//.exec(file)?.[1]}/`);
const needsBroker = (file) => file.startsWith('spec/integration/');

/**
 * Runs mutants in test files that stay loaded. A mutant that a test kills is taken away, and the test runs once more: if it still
 * fails, an earlier mutant has left something behind, and Stryker starts the runner again and repeats the mutant.
 */
class WarmRunner {
  #tests;
  /** What the instrumented code reads, and counts in. */
  #instrumented = {};
  /** By id: the file of a test, its name, and the ms that it took. The ids are short, since Stryker sends a list of them with each mutant. */
  #known = {};

  capabilities() {
    return { reloadEnvironment: false };
  }

  async init() {
    if (existsSync(TESTS)) this.#known = JSON.parse(readFileSync(TESTS, 'utf8'));
    this.#tests = await WarmTests.load('spec/mutation/jest.config.cjs', {
      [INSTRUMENTER_CONSTANTS.NAMESPACE]: this.#instrumented,
    });
  }

  async dryRun() {
    const results = [];
    for (const file of this.#tests.files) {
      const ids = {};
      const idOf = (name) => (ids[name] ??= `${this.#tests.files.indexOf(file)}.${Object.keys(ids).length}`);
      const outcomes = await this.#tests.run(file, {
        bail: false,
        wanted: (name) => !LEFT_OUT.test(name),
        limitOf: () => NO_LIMIT,
        started: (name) => (this.#instrumented.currentTestId = idOf(name)),
        ended: () => (this.#instrumented.currentTestId = undefined),
      });
      for (const { name, ms, failure } of outcomes) {
        const id = idOf(name);
        const outcome =
          failure === undefined
            ? { status: TestStatus.Success }
            : { status: TestStatus.Failed, failureMessage: failure };
        this.#known[id] = { file, name, ms };
        results.push({
          id,
          name: `${file} › ${name}`,
          fileName: resolve(file),
          timeSpentMs: Math.ceil(ms),
          ...outcome,
        });
      }
    }
    writeFileSync(TESTS, JSON.stringify(this.#known));
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage: this.#instrumented.mutantCoverage };
  }

  async mutantRun({ activeMutant, hitLimit, testFilter = Object.keys(this.#known) }) {
    let nrOfTests = 0;
    for (const [file, tests] of this.#chosen(testFilter, activeMutant.fileName)) {
      this.#tests.namesIn(file);
      const limitOf = (name) =>
        Math.max(needsBroker(file) ? LEAST.broker : LEAST.memory, TIMES * (tests.get(name)?.ms ?? 0));
      Object.assign(this.#instrumented, {
        activeMutant: activeMutant.id,
        hitLimit,
        hitCount: hitLimit === undefined ? undefined : 0,
      });
      const outcomes = await this.#tests.run(file, { wanted: (name) => tests.has(name), limitOf });
      Object.assign(this.#instrumented, { activeMutant: undefined, hitLimit: undefined, hitCount: undefined });
      nrOfTests += outcomes.length;
      const killer = outcomes.find(({ failure }) => failure !== undefined);
      if (!killer) continue;
      const [again] = await this.#tests.run(file, { wanted: (name) => name === killer.name, limitOf });
      if (again?.failure !== undefined) throw new Error(`${killer.name} fails without a mutant: ${again.failure}`);
      const killedBy = [tests.get(killer.name).id];
      return { status: MutantRunStatus.Killed, failureMessage: killer.failure, killedBy, nrOfTests };
    }
    return { status: MutantRunStatus.Survived, nrOfTests };
  }

  /** Tests by file and name, in the order in which they run. */
  #chosen(ids, mutated) {
    const files = new Map();
    for (const id of ids) {
      const { file, name, ms } = this.#known[id];
      // Tests with a broker are for their own room alone: they take long, and every send is in all of them.
      if (needsBroker(file) && !isOfRoom(file, mutated)) continue;
      if (!files.has(file)) files.set(file, new Map());
      files.get(file).set(name, { id, ms });
    }
    // Those of its room are the likeliest to find it; then the quickest: one test that fails is enough.
    const costOf = ([file, tests]) =>
      [...tests.values()].reduce((sum, { ms }) => sum + ms, isOfRoom(file, mutated) ? 0 : NO_LIMIT);
    return [...files].sort((a, b) => costOf(a) - costOf(b));
  }
}

export const strykerPlugins = [declareClassPlugin(PluginKind.TestRunner, 'warm', WarmRunner)];
