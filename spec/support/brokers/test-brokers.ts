/** The brokers that Jest's global setup has started; workers find them through an environment variable. */
import { attachBroker, type Broker } from '../../../compose/broker';

type Handle = Broker['handle'];

interface Brokers {
  /** The broker of `AMQP_URL`, if it is set. */
  readonly shared?: Handle | undefined;
  /** One per worker. */
  readonly own: readonly Handle[];
  /** Why `own` is empty. */
  readonly failure?: string | undefined;
}

const VARIABLE = 'INSTANCE_QUEUE_TEST_BROKERS';

/**
 * The broker for ordinary tests: the one of `AMQP_URL` if that is set, else the worker's own. Other tests may use it at the
 * same time, so the names of queues and exchanges must be unique.
 */
export function sharedBroker(): Broker {
  const { shared } = announced();
  return shared === undefined ? privateBroker() : attachBroker(shared);
}

/**
 * The broker of this worker alone, never that of `AMQP_URL`, for tests that restart, kill, alarm or reconfigure it. A test
 * leaves it running, and configured as before.
 */
export function privateBroker(): Broker {
  const { own, failure } = announced();
  const worker = Number(process.env.JEST_WORKER_ID ?? 1);
  // A run of one file has one broker, whatever the number of the worker.
  const handle = own[(worker - 1) % own.length];
  if (handle === undefined) throw new Error(`This test needs a broker of its own, and there is none: ${failure ?? ''}`);
  return attachBroker(handle);
}

/** Called by the global setup: tells the workers which brokers there are. */
export function publishBrokers(brokers: Brokers) {
  process.env[VARIABLE] = JSON.stringify(brokers);
}

function announced(): Brokers {
  const json = process.env[VARIABLE];
  if (json === undefined) throw new Error('No broker was started: only spec/integration and spec/fault have one.');
  return JSON.parse(json) as Brokers;
}
