const { readFileSync, writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { default: TestRunner } = require('jest-runner');

/**
 * Runs a mutant only in the test files that reach it, and only until the first test fails. Jest by itself loads every test
 * file to look for the tests asked for, and goes on after a failure: that takes ten times as long.
 */
module.exports = class FirstFailureRunner extends TestRunner {
  async runTests(tests, watcher, options) {
    const { rootDir, testNamePattern } = this._globalConfig;
    // In the sandbox: a runner that was started again after a timeout still needs it.
    const list = join(rootDir, '.tests-of-files.json');
    const named = (test) => relative(rootDir, test.path);
    const found = {};
    this.on('test-file-success', ([test, { testResults, numFailingTests }]) => {
      found[named(test)] = testResults.filter(({ status }) => status === 'passed').map(({ fullName }) => fullName);
      if (numFailingTests > 0) watcher.setState({ interrupted: true });
    });
    if (!testNamePattern) {
      await super.runTests(tests, watcher, options);
      if (rootDir.includes('.stryker-tmp')) writeFileSync(list, JSON.stringify(found));
      return;
    }
    const wanted = new RegExp(testNamePattern, 'i');
    const known = JSON.parse(readFileSync(list, 'utf8'));
    const reaching = tests.filter((test) => known[named(test)]?.some((name) => wanted.test(name)));
    await super.runTests(reaching, watcher, options);
  }
};
