import { SpanKind, context, propagation, trace, type Span } from '@opentelemetry/api';
import { tracingChannel } from 'node:diagnostics_channel';
import type { PublishTrace } from '../producer/publish-telemetry';
import { contextIn, failed, messagingAttributes, tracer } from './tracer';

const sends = tracingChannel<unknown, PublishTrace>('instance-queue:publish');
const spans = new WeakMap<PublishTrace, Span>();

function start(send: PublishTrace): void {
  const { exchange, routingKey, headers } = send;
  const attributes = messagingAttributes('send', send);
  const active = context.active();
  // A message that was received and is forwarded outside any span continues its trace.
  const parent = trace.getSpan(active) ? active : contextIn(headers, active);
  const span = tracer().startSpan(`send ${exchange || routingKey}`, { kind: SpanKind.PRODUCER, attributes }, parent);
  spans.set(send, span);
  propagation.inject(trace.setSpan(parent, span), headers);
}

function asyncEnd(send: PublishTrace): void {
  const span = spans.get(send);
  const { result } = send;
  if (result) span?.setAttribute('instance_queue.attempts', result.attempts);
  span?.end();
}

function error(send: PublishTrace): void {
  const span = spans.get(send);
  if (span) failed(span, send.error);
}

const nothing = (): void => undefined;
const subscribers = { start, asyncEnd, error, end: nothing, asyncStart: nothing };
let users = 0;

/**
 * Makes a producer span of every send of this process, from the call to the confirm, as a child of the active span. Its context
 * travels in the headers of the message, in the format of the registered propagator (W3C: `traceparent`, `tracestate`). Call it once,
 * when the process starts. Returns a function that stops it.
 *
 * @example
 * const stop = traceSends();
 */
export function traceSends(): () => void {
  if (users++ === 0) sends.subscribe(subscribers);
  let mine = true;
  return () => {
    if (!mine) return;
    mine = false;
    if (--users === 0) sends.unsubscribe(subscribers);
  };
}
