/// <reference types="node" preserve="true" />
/**
 * Answers to the probes of an orchestrator.
 * @module instance-queue/health
 */

export { liveness, readiness } from './answers';
export type { HasHealth, LivenessBody, ProbeAnswer, ReadinessBody, ReadinessOptions } from './answers';
export { probes } from './probes';
export type { ProbesOptions } from './probes';
export type { ConnectionReason, ConsumerReason, NothingReason, ProducerReason, Reason } from './reasons';
