const { TestEnvironment } = require('jest-environment-node');

// Instrumented code takes longer than this one allows.
const SPEED = 'take time that grows with their number';
// They take half a minute each, and do to `lib/` what the double of an InstanceQueue does to it in a few seconds.
const LEFT_OUT = new RegExp(process.env.SEEDS === 'off' ? `${SPEED}|^a simulated RabbitMQ` : SPEED);

const nameOf = ({ name, parent }) => (parent?.parent ? `${nameOf(parent)} ${name}` : name);

/** Leaves out the tests of a file that come after one that failed: one is enough to kill a mutant. */
module.exports = class FirstFailureEnvironment extends TestEnvironment {
  #failed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_fn_failure' || name === 'hook_failure') this.#failed = true;
    if (name === 'test_start' && (this.#failed || LEFT_OUT.test(nameOf(test)))) test.mode = 'skip';
  }
};
