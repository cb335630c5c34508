import { ROOT_CONTEXT, SpanKind, context, propagation, trace, type TextMapGetter } from '@opentelemetry/api';
import { Observable, finalize, isObservable, tap } from 'rxjs';
import type { Message } from '../consumer/delivery';
import { isPromiseLike, type Work, type Worker } from '../operators/handle-options';
import type { Arguments } from '../properties';
import { failed, messagingAttributes, tracer } from './tracer';

/** Headers are what somebody sent: anything may be in them. */
const headersGetter: TextMapGetter<Arguments> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, key) => {
    const value = Object.hasOwn(headers, key) ? headers[key] : undefined;
    return typeof value === 'string' ? value : undefined;
  },
};

/**
 * Work with a consumer span around it: a child of the span that the message was sent in, active while the work runs
 * (across `await` too, and in the subscription of an Observable). It ends, and fails, with the work.
 *
 * @example
 * queue.consume({ queue: 'orders' }).pipe(handle(traced(ship))).subscribe({ error: console.error });
 */
export function traced<T, R>(work: Worker<T, R>): Worker<T, R> {
  return (message, workContext) => {
    const parent = propagation.extract(ROOT_CONTEXT, message.properties.headers ?? {}, headersGetter);
    const span = tracer().startSpan(
      `process ${message.queue}`,
      { kind: SpanKind.CONSUMER, attributes: of(message) },
      parent,
    );
    const active = trace.setSpan(parent, span);
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
      return result.then(
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
