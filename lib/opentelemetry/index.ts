/// <reference types="node" preserve="true" />
/**
 * Spans around sends and work, linked by the headers of the message.
 * @module instance-queue/opentelemetry
 */

export { traceSends } from './sends';
export { traced } from './work';
