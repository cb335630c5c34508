/// <reference types="node" preserve="true" />
/**
 * Spans around sends and work, linked by the headers of the message; metrics by the semantic conventions for messaging.
 * @module instance-queue/opentelemetry
 */

export { meter } from './meter';
export type { MeterOptions } from './meter';
export { traceSends } from './sends';
export { traced } from './work';
