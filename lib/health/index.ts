/// <reference types="node" preserve="true" />
/**
 * Answers to the probes of an orchestrator, from the health of an `InstanceQueue`.
 * @module instance-queue/health
 */

export { liveness, probes, readiness } from './probes';
export type { HasHealth, LivenessBody, ProbeAnswer, ProbesOptions, ReadinessBody, ReadinessOptions } from './probes';
export type { ConnectionReason, ConsumerReason, NothingReason, ProducerReason, Reason } from './reasons';
