/// <reference types="node" preserve="true" />
/**
 * Metrics for Prometheus, with prom-client.
 * @module instance-queue/prometheus
 */

export { register } from './register';
export type { RegisterOptions } from './register';
