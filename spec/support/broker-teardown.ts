import type { BrokerGlobals } from './broker-setup';

/** Stops what the global setup started. */
export default async function teardown() {
  const { brokersToStop = [] } = globalThis as BrokerGlobals;
  await Promise.all(brokersToStop.map((broker) => broker.stop()));
}
