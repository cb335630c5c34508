import {
  ROOT_CONTEXT,
  SpanStatusCode,
  propagation,
  trace,
  type Attributes,
  type Context,
  type Span,
  type TextMapGetter,
  type Tracer,
} from '@opentelemetry/api';
import type { Arguments } from '../properties';
import { isError, isInstanceQueueError, nameOf, sentenceOf } from '../errors';

/** Looked up for each span: the app may register its provider later. */
export const tracer = (): Tracer => trace.getTracer('instance-queue');

/** Any client can write anything into headers. */
const headersGetter: TextMapGetter<Arguments> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, key) => {
    const value = Object.hasOwn(headers, key) ? headers[key] : undefined;
    return typeof value === 'string' ? value : undefined;
  },
};

/** `base` with the trace context that the headers of a message carry, if any. */
export const contextIn = (headers: Arguments = {}, base: Context = ROOT_CONTEXT): Context =>
  propagation.extract(base, headers, headersGetter);

/** https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/ */
export function messagingAttributes(
  operation: 'send' | 'process',
  { exchange, routingKey, queue, messageId }: Destination,
): Attributes {
  const named = [exchange, routingKey, queue].filter((name) => name !== undefined && name !== '');
  return {
    'messaging.system': 'rabbitmq',
    'messaging.operation.type': operation,
    'messaging.operation.name': operation,
    'messaging.destination.name': [...new Set(named)].join(':'),
    ...(routingKey !== '' && { 'messaging.rabbitmq.destination.routing_key': routingKey }),
    ...(messageId !== undefined && { 'messaging.message.id': messageId }),
  };
}

interface Destination {
  readonly exchange: string;
  readonly routingKey: string;
  readonly queue?: string;
  readonly messageId?: string | undefined;
}

/** Marks a span as failed. Errors of this library hold no bodies and no credentials; errors of the work may. */
export function failed(span: Span, error: unknown): void {
  const thrown: unknown = error;
  span.recordException(isError(thrown) ? thrown : sentenceOf(thrown));
  span.setAttribute('error.type', isInstanceQueueError(thrown) ? thrown.code : nameOf(thrown));
  span.setStatus({ code: SpanStatusCode.ERROR, message: sentenceOf(error) });
}
