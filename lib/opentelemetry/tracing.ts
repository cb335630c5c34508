import {
  type Attributes,
  context,
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { tracingChannel } from 'node:diagnostics_channel';
import { finalize, isObservable, Observable, tap } from 'rxjs';
import { lowCardinality } from '../client/traffic';
import type { Message } from '../consumer/delivery';
import { isError, isInstanceQueueError, nameOf, sentenceOf } from '../errors';
import { isPromiseLike } from '../operators/attempt';
import { checkHandling, type Work, type Worker } from '../operators/handle-options';
import type { PublishTrace } from '../producer/producer-events';
import type { Arguments } from '../properties';
import { setWorkScope } from '../work-scope';

/**
 * Wraps work in a consumer span, a child of the span in which the message was sent. The span is active while the work runs (also
 * behind an `await`, and in the subscription of an Observable), and ends or fails with it. The error policy runs in it as well, and
 * what is published on behalf of the message continues its trace: the copy of a `retry`, the reply.
 *
 * @throws OptionsError if the work is not a function
 * @example
 * queue.consume({ queue: 'orders' }).pipe(handle(traced(ship))).subscribe({ error: console.error });
 */
export function traced<T, R>(work: Worker<T, R>): Worker<T, R> {
  checkHandling(work, {});
  return (message, workContext) => {
    const parent = contextIn(message.properties.headers);
    const span = tracer().startSpan(
      `process ${lowCardinality(message.queue)}`,
      { kind: SpanKind.CONSUMER, attributes: of(message) },
      parent,
    );
    const active = trace.setSpan(parent, span);
    setWorkScope(message, {
      run: (step) => context.with(active, step),
      headers: () => {
        const headers: Record<string, unknown> = {};
        propagation.inject(active, headers);
        return headers;
      },
    });
    const fail = (error: unknown): void => failed(span, error);
    let result: Work<R>;
    try {
      result = context.with(active, () => work(message, workContext));
    } catch (error) {
      fail(error);
      span.end();
      throw error;
    }
    if (isObservable(result)) {
      const spanned$ = result.pipe(
        tap({ error: fail }),
        finalize(() => span.end()),
      );
      return new Observable((subscriber) => context.with(active, () => spanned$.subscribe(subscriber)));
    }
    if (isPromiseLike(result)) {
      // A thenable may throw instead of calling back.
      return Promise.resolve(result).then(
        (value) => {
          span.end();
          return value;
        },
        (error: unknown) => {
          fail(error);
          span.end();
          throw error;
        },
      );
    }
    span.end();
    return result;
  };
}

function of({ exchange, routingKey, queue, redelivered, properties: { messageId } }: Message<unknown>) {
  return {
    ...messagingAttributes('process', { exchange, routingKey, queue, messageId }),
    'instance_queue.redelivered': redelivered,
  };
}

const sends = tracingChannel<unknown, PublishTrace>('instance-queue:publish');
/** Of the sends that are under way. */
const spans = new Map<PublishTrace, Span>();

function start(send: PublishTrace): void {
  if (users === 0) return;
  const { exchange, routingKey, headers } = send;
  const attributes = messagingAttributes('send', send);
  const active = context.active();
  // A message that was received and is forwarded outside any span continues its trace.
  const parent = trace.getSpan(active) ? active : contextIn(headers, active);
  const span = tracer().startSpan(
    `send ${lowCardinality(exchange || routingKey)}`,
    { kind: SpanKind.PRODUCER, attributes },
    parent,
  );
  spans.set(send, span);
  propagation.inject(trace.setSpan(parent, span), headers);
}

function asyncEnd(send: PublishTrace): void {
  const span = spans.get(send);
  const { result } = send;
  if (result) span?.setAttribute('instance_queue.attempts', result.attempts);
  span?.end();
  spans.delete(send);
  stopIfDone();
}

function error(send: PublishTrace): void {
  const span = spans.get(send);
  if (span) failed(span, send.error);
}

const nothing = (): void => undefined;
const subscribers = { start, asyncEnd, error, end: nothing, asyncStart: nothing };
let users = 0;
let subscribed = false;

/** What is under way when the last user stops still gets its end. */
function stopIfDone(): void {
  if (users > 0 || spans.size > 0 || !subscribed) return;
  subscribed = false;
  sends.unsubscribe(subscribers);
}

/**
 * Makes a producer span of every send of this process, from the call to the confirm, as a child of the active span. Its context
 * travels in the headers of the message, in the format of the registered propagator (W3C: `traceparent`, `tracestate`). Call it once,
 * when the process starts. Returns a function that stops it: sends that are under way then still end their spans.
 *
 * @example
 * const stop = traceSends();
 */
export function traceSends(): () => void {
  users++;
  if (!subscribed) sends.subscribe(subscribers);
  subscribed = true;
  let mine = true;
  return () => {
    if (!mine) return;
    mine = false;
    users--;
    stopIfDone();
  };
}

/** Looked up for each span: the app may register its provider later. */
const tracer = (): Tracer => trace.getTracer('instance-queue');

/** Any client can write anything into headers. */
const headersGetter: TextMapGetter<Arguments> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, key) => {
    const value = Object.hasOwn(headers, key) ? headers[key] : undefined;
    return typeof value === 'string' ? value : undefined;
  },
};

/** `base` with the trace context that the headers of a message carry, if any. */
const contextIn = (headers: Arguments = {}, base: Context = ROOT_CONTEXT): Context =>
  propagation.extract(base, headers, headersGetter);

/** https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/ */
function messagingAttributes(
  operation: 'send' | 'process',
  { exchange, routingKey, queue, messageId }: Destination,
): Attributes {
  const named = [exchange, routingKey, queue].filter((name) => name !== undefined && name !== '');
  const destination = queue ?? (exchange || routingKey);
  const template = lowCardinality(destination);
  return {
    'messaging.system': 'rabbitmq',
    'messaging.operation.type': operation,
    'messaging.operation.name': operation,
    'messaging.destination.name': [...new Set(named)].join(':'),
    ...(template !== destination && { 'messaging.destination.template': template }),
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
