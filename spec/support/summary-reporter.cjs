// @ts-check
// Plain JavaScript: Jest loads reporters without a TypeScript loader.
const { relative } = require('node:path');
const { stripVTControlCharacters } = require('node:util');

/** @typedef {import('@jest/test-result').AggregatedResult} Results */
/** @typedef {import('@jest/test-result').TestResult} FileResult */

/** How many failures are listed, so that the list stays within what a CI system shows of a log's end. */
const MOST_LISTED = 30;
/** The length of a line of the list. */
const LINE_LENGTH = 300;

/** @param {string | undefined} message */
const firstLine = (message = '') => stripVTControlCharacters(message).trim().split('\n', 1)[0] ?? '';

/**
 * One line per failed test, with the first line of its error.
 * @param {FileResult} result
 * @returns {string[]}
 */
function failuresOf({ testFilePath, testResults, testExecError }) {
  const file = relative(process.cwd(), testFilePath);
  const failed = testResults.filter(({ status }) => status === 'failed');
  return [
    ...(testExecError ? [`${file}: ${firstLine(testExecError.message)}`] : []),
    ...failed.map(({ fullName, failureMessages }) => `${file} › ${fullName}: ${firstLine(failureMessages[0])}`),
  ];
}

/**
 * Ends the output of a test run with a list of what failed, a line each, and one plain line, `N passed, N failed`
 * (and `, N skipped` if there are any). A test file that could not even be loaded counts as one failure.
 */
class SummaryReporter {
  /** @type {string[]} */
  #lines = [];

  constructor() {
    // Not in onRunComplete: Jest's own summary and the global teardown speak after that.
    process.once('exit', () => {
      if (this.#lines.length > 0) process.stdout.write(`${this.#lines.join('\n')}\n`);
    });
  }

  /**
   * @param {unknown} _contexts
   * @param {Results} results
   */
  onRunComplete(_contexts, results) {
    const failures = results.testResults.flatMap(failuresOf);
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const skipped = results.numPendingTests + results.numTodoTests;
    const counts = [`${results.numPassedTests} passed`, `${failed} failed`];
    if (skipped > 0) counts.push(`${skipped} skipped`);
    const listed = failures.slice(0, MOST_LISTED).map((line) => `failed: ${line.slice(0, LINE_LENGTH)}`);
    if (failures.length > MOST_LISTED) listed.push(`failed: ${failures.length - MOST_LISTED} more`);
    this.#lines = [...listed, counts.join(', ')];
  }
}

module.exports = SummaryReporter;
