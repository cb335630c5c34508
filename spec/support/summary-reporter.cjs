// @ts-check
// Plain JavaScript: Jest loads reporters without a TypeScript loader.

/** @typedef {'numPassedTests' | 'numFailedTests' | 'numRuntimeErrorTestSuites' | 'numPendingTests' | 'numTodoTests'} Count */

/**
 * Ends the output of a test run with one plain line, `N passed, N failed` (and `, N skipped` if there are any).
 * A test file that could not even be loaded counts as one failure.
 */
class SummaryReporter {
  /** @type {string | undefined} */
  #line;

  constructor() {
    // Not in onRunComplete: Jest's own summary and the global teardown speak after that.
    process.once('exit', () => {
      if (this.#line !== undefined) process.stdout.write(`${this.#line}\n`);
    });
  }

  /**
   * @param {unknown} _contexts
   * @param {Record<Count, number>} results
   */
  onRunComplete(_contexts, results) {
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    const parts = [`${results.numPassedTests} passed`, `${failed} failed`];
    if (skipped > 0) parts.push(`${skipped} skipped`);
    this.#line = parts.join(', ');
  }
}

module.exports = SummaryReporter;
