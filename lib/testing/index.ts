/// <reference types="node" preserve="true" />
// The entry point `instance-queue/testing`: faults between an app and a broker.
export { FaultProxy } from './faults/fault-proxy';
export type { FaultDirection, FaultTap, FaultTarget } from './faults/fault-proxy';
