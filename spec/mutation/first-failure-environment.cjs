const { TestEnvironment } = require('jest-environment-node');

// They take half a minute each, and do to `lib/` what the double of an InstanceQueue does to it in a few seconds.
const LEFT_OUT = process.env.SEEDS === 'off' ? /^a simulated RabbitMQ/ : undefined;

const nameOf = ({ name, parent }) => (parent?.parent ? `${nameOf(parent)} ${name}` : name);

/** Leaves out the tests of a file that come after one that failed: one is enough to kill a mutant. */
module.exports = class FirstFailureEnvironment extends TestEnvironment {
  #failed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_fn_failure' || name === 'hook_failure') this.#failed = true;
    if (name === 'test_start' && (this.#failed || LEFT_OUT?.test(nameOf(test)))) test.mode = 'skip';
  }
};
