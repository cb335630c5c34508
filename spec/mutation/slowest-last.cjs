const { default: Sequencer } = require('@jest/test-sequencer');

const SLOW = ['spec/property/', 'spec/unit/testing/laws', 'spec/mutation/', 'spec/model/'];
const place = ({ path }) => SLOW.findIndex((part) => path.includes(part));

/** The tests that take long come last: most mutants are killed before. */
module.exports = class SlowestLast extends Sequencer {
  sort(tests) {
    return [...tests].sort((a, b) => place(a) - place(b) || a.path.localeCompare(b.path));
  }
};
