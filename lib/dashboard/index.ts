/// <reference types="node" preserve="true" />
/**
 * A page that shows a queue live, for the service that uses it.
 * @module instance-queue/dashboard
 */

export { dashboard } from './dashboard';
export type { DashboardOptions, DashboardPanel } from './dashboard';
export type { HasMetrics } from './watch';
