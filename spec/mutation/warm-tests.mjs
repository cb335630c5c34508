import console from 'node:console';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';
import { relative } from 'node:path';
import process from 'node:process';
import { SearchSource } from '@jest/core';
import { createScriptTransformer } from '@jest/transform';
import { readConfig } from 'jest-config';
import RuntimeModule from 'jest-runtime';

const require = createRequire(import.meta.url);
const Runtime = RuntimeModule.default ?? RuntimeModule;

const testsOf = (block) => block.children.flatMap((child) => (child.type === 'test' ? [child] : testsOf(child)));
const blocksOf = (block) => [
  block,
  ...block.children.flatMap((child) => (child.type === 'test' ? [] : blocksOf(child))),
];
const nameOf = ({ name, parent }) => (parent?.parent ? `${nameOf(parent)} ${name}` : name);
const textOf = (error) => String((Array.isArray(error) ? (error[0] ?? error[1]) : error)?.message ?? error);

/** ms that a hook of a whole file may take. */
const HOOKS = 90_000;

/**
 * Test files that are loaded once, in one of Jest's environments, and run as often as one likes. Jest by itself loads each file,
 * and all that the file imports, for each run: a mutant took seconds, most of them for loading.
 */
export class WarmTests {
  #circus;
  #runtime;
  #global;
  #rootDir;
  #paths = [];
  /** By path, the root of its tests. */
  #roots = new Map();
  #handler = () => undefined;

  /** @param global what the tests find in `globalThis` */
  static async load(configPath, global) {
    const tests = new WarmTests();
    const { globalConfig, projectConfig } = await readConfig({ $0: '', _: [] }, configPath);
    tests.#rootDir = projectConfig.rootDir;
    const context = await Runtime.createContext(projectConfig, { maxWorkers: 1, watch: false, watchman: false });
    const found = await new SearchSource(context).getTestPaths(globalConfig, projectConfig);
    tests.#paths = found.tests.map(({ path }) => path).sort();
    const cacheFS = new Map();
    const transformer = await createScriptTransformer(projectConfig, cacheFS);
    const Environment = await transformer.requireAndTranspileModule(projectConfig.testEnvironment);
    const environment = new Environment(
      { globalConfig, projectConfig },
      { console, docblockPragmas: {}, testPath: tests.#rootDir },
    );
    await environment.setup();
    tests.#global = environment.global;
    Object.assign(environment.global, global, { console });
    const coverage = { collectCoverage: false, collectCoverageFrom: [], coverageProvider: 'v8' };
    tests.#runtime = new Runtime(
      projectConfig,
      environment,
      context.resolver,
      transformer,
      cacheFS,
      coverage,
      tests.#rootDir,
      globalConfig,
    );
    tests.#prepare(projectConfig);
    return tests;
  }

  #prepare({ setupFiles }) {
    this.#circus = this.#runtime.requireInternalModule(require.resolve('jest-circus'));
    const { jestExpect: expect } = this.#runtime.requireInternalModule(require.resolve('@jest/expect'));
    const { afterAll, afterEach, beforeAll, beforeEach, describe, it, test } = this.#circus;
    const globals = { afterAll, afterEach, beforeAll, beforeEach, describe, it, test, expect };
    this.#runtime.setGlobalsForRuntime(globals);
    Object.assign(this.#global, globals);
    this.#circus.addEventHandler((event, state) => this.#handler(event, state));
    for (const path of setupFiles) this.#runtime.requireModule(path);
    const failed = (error) => this.#circus.getState().currentlyRunningTest?.errors.push(error);
    process.on('unhandledRejection', failed);
    process.on('uncaughtException', failed);
  }

  get files() {
    return this.#paths.map((path) => relative(this.#rootDir, path));
  }

  /** The tests of a file, which is loaded if it is not: their names, as Jest writes them. */
  namesIn(file) {
    return testsOf(this.#rootOf(file)).map(nameOf);
  }

  #rootOf(file) {
    const loaded = this.#roots.get(file);
    if (loaded) return loaded;
    this.#circus.resetState();
    this.#runtime.requireModule(`${this.#rootDir}/${file}`);
    const { rootDescribeBlock: root } = this.#circus.getState();
    for (const one of [...testsOf(root), ...blocksOf(root)]) one.asWritten = { mode: one.mode, timeout: one.timeout };
    this.#roots.set(file, root);
    return root;
  }

  /**
   * Runs the wanted tests of a file, one after the other, and ends after the first that fails.
   *
   * @param started, ended are called with the name of each test
   * @param limitOf ms that a test, or a hook of it, may take
   * @returns the outcomes: `{ name, ms, failure? }`
   */
  async run(file, { wanted, limitOf, bail = true, started = () => undefined, ended = () => undefined }) {
    const root = this.#rootOf(file);
    let stopped = false;
    const outcomes = [];
    this.#circus.resetState();
    const state = this.#circus.getState();
    Object.assign(state, { rootDescribeBlock: root, currentDescribeBlock: root, testTimeout: HOOKS });
    const isWanted = new Map(testsOf(root).map((test) => [test, wanted(nameOf(test))]));
    for (const [test, chosen] of isWanted) {
      const mode = chosen ? test.asWritten.mode : 'skip';
      Object.assign(test, { errors: [], status: null, invocations: 0, seenDone: false, mode, timeout: undefined });
      test.unhandledRejectionErrorByPromise.clear();
    }
    for (const block of blocksOf(root))
      block.mode = testsOf(block).some((test) => isWanted.get(test)) ? block.asWritten.mode : 'skip';
    let began = 0;
    this.#handler = ({ name, test }) => {
      if (name === 'test_start' && stopped) test.mode = 'skip';
      if (name === 'test_started') {
        state.testTimeout = limitOf(nameOf(test));
        began = performance.now();
        started(nameOf(test));
      }
      if (name !== 'test_done') return;
      const ms = performance.now() - began;
      ended(nameOf(test));
      const [error] = [...test.errors, ...test.unhandledRejectionErrorByPromise.values()];
      outcomes.push({ name: nameOf(test), ms, ...(error !== undefined && { failure: textOf(error) }) });
      if (error !== undefined && bail) stopped = true;
    };
    try {
      const { unhandledErrors } = await this.#circus.run();
      const [error] = unhandledErrors;
      if (error !== undefined && outcomes.length > 0) outcomes.at(-1).failure ??= textOf(error);
    } finally {
      this.#handler = () => undefined;
    }
    return outcomes;
  }
}
