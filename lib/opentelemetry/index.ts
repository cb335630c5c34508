/// <reference types="node" preserve="true" />
/**
 * Spans around sends and work, linked by the headers of the message; metrics by the semantic conventions for messaging.
 * @module instance-queue/opentelemetry
 */

// It subscribes to the channels of node:diagnostics_channel that consumer/ and producer/ publish to. Only these files import
// @opentelemetry/api, and no other room imports them.

export { meter } from './meter';
export type { MeterOptions } from './meter';
export { traceSends } from './tracing';
export { traced } from './tracing';
