/// <reference types="node" preserve="true" />
// The entry point `instance-queue/opentelemetry`: spans, and their context in the headers of messages.
export { traceSends } from './sends';
export { traced } from './work';
