import type { BrokerGlobals } from './broker-setup';

/** Jest's global teardown: stops the brokers that the global setup has started. */
export default async function teardown() {
  const { brokersToStop = [] } = globalThis as BrokerGlobals;
  await Promise.all(brokersToStop.map((broker) => broker.stop()));
}
