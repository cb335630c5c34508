/// <reference types="node" preserve="true" />
// The entry point `instance-queue/health`: answers to the probes of an orchestrator.
export { liveness, readiness } from './answers';
export type { LivenessBody, ProbeAnswer, ReadinessBody, ReadinessOptions } from './answers';
export { probes } from './handler';
export type { ProbesOptions } from './handler';
export type { ConnectionReason, ConsumerReason, NothingReason, ProducerReason, Reason } from './reasons';
