// @ts-check
// Plain JavaScript: Jest loads sequencers without a TypeScript loader.
const { default: Sequencer } = require('@jest/test-sequencer');

/** The files that take longest, from a minute on. */
const LONGEST = [
  /integration\/testing\/laws\.spec/,
  /fault\/dashboard\//,
  /fault\/cluster\//,
  /fault\/soak\.spec/,
  /simulation\/simulation\.spec/,
  /types\/types\.spec/,
  /integration\/cli\//,
];

/**
 * Starts the longest files first. By itself Jest starts the largest ones first where it has not seen how long each takes, as in a fresh
 * checkout; then one worker waits at the end for the other.
 */
class LongestFirst extends Sequencer {
  /** @param {import('@jest/test-result').Test[]} tests */
  sort(tests) {
    const sorted = super.sort(tests);
    const isLong = ({ path }) => LONGEST.some((pattern) => pattern.test(path));
    const longest = LONGEST.flatMap((pattern) => sorted.filter(({ path }) => pattern.test(path)));
    return [...longest, ...sorted.filter((test) => !isLong(test))];
  }
}

module.exports = LongestFirst;
