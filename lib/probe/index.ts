/// <reference types="node" preserve="true" />
/**
 * Answers to the probes of an orchestrator.
 * @module instance-queue/health
 */

export { liveness, readiness } from './answers';
export type { HasHealth, LivenessBody, ProbeAnswer, ReadinessBody, ReadinessOptions } from './answers';
export { probes } from './handler';
export type { ProbesOptions } from './handler';
export type { ConnectionReason, ConsumerReason, NothingReason, ProducerReason, Reason } from './reasons';
