/// <reference types="node" preserve="true" />
/**
 * An app's tests without a broker, and faults between an app and a broker.
 * @module instance-queue/testing
 */

export { fakeDelivery } from './fake-delivery';
export type { FakeDelivery, FakeDeliveryFields } from './fake-delivery';
export { FakeInstanceQueue } from './fake-instance-queue';
export type { FakeInstanceQueueOptions } from './fake-instance-queue';
export { MemoryBroker } from './memory-broker';
export type { QueueView } from './memory-broker';
export type { BrokerMessage } from './memory/stored-message';

export { simulate, SimulationError } from './simulation/simulate';
export type { SimulateOptions, SimulationReport } from './simulation/simulate';
export type { FaultKind } from './simulation/faults';
export type { Universe } from './simulation/universe';

export { FaultProxy } from './faults/fault-proxy';
export type { FaultDirection, FaultProxyOptions, FaultTap, FaultTarget } from './faults/fault-proxy';
