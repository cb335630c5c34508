/** The RabbitMQ a test talks to: started by the global setup, found through the environment of the worker. */
import { attachBroker, type Broker } from '../../compose/broker';

type Handle = Broker['handle'];

interface Brokers {
  /** What `AMQP_URL` names. */
  readonly shared?: Handle | undefined;
  /** One for each worker. */
  readonly own: readonly Handle[];
  /** Why there are none of these. */
  readonly failure?: string | undefined;
}

const VARIABLE = 'INSTANCE_QUEUE_TEST_BROKERS';

/**
 * The broker for ordinary tests: `AMQP_URL` if that is set, else the one of this worker. Others may be using it at the
 * same time, so names of queues and exchanges must be unique.
 */
export function sharedBroker(): Broker {
  const { shared } = announced();
  return shared === undefined ? privateBroker() : attachBroker(shared);
}

/**
 * The broker of this worker alone, never `AMQP_URL`: for tests that restart, kill, alarm or reconfigure it. A test
 * leaves it running and as it was.
 */
export function privateBroker(): Broker {
  const { own, failure } = announced();
  const worker = Number(process.env.JEST_WORKER_ID ?? 1);
  // Run with one file, there is one broker, whatever the number of the worker.
  const handle = own[(worker - 1) % own.length];
  if (handle === undefined) throw new Error(`This test needs a broker of its own, and there is none: ${failure ?? ''}`);
  return attachBroker(handle);
}

/** For the global setup: what the workers will find. */
export function publishBrokers(brokers: Brokers) {
  process.env[VARIABLE] = JSON.stringify(brokers);
}

function announced(): Brokers {
  const json = process.env[VARIABLE];
  if (json === undefined) throw new Error('No broker was started: only spec/integration and spec/fault have one.');
  return JSON.parse(json) as Brokers;
}
