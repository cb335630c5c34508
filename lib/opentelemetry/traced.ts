import { SpanKind, context, propagation, trace } from '@opentelemetry/api';
import { Observable, finalize, isObservable, tap } from 'rxjs';
import type { Message } from '../consumer/delivery';
import { isPromiseLike, type Work, type Worker } from '../operators/handle-options';
import { setWorkScope } from '../work-scope';
import { contextIn, failed, messagingAttributes, tracer } from './tracer';

/**
 * Wraps work in a consumer span, a child of the span in which the message was sent. The span is active while the work runs (also
 * behind an `await`, and in the subscription of an Observable), and ends or fails with it. The error policy runs in it as well, and
 * what is published on behalf of the message continues its trace: the copy of a `retry`, the reply.
 *
 * @example
 * queue.consume({ queue: 'orders' }).pipe(handle(traced(ship))).subscribe({ error: console.error });
 */
export function traced<T, R>(work: Worker<T, R>): Worker<T, R> {
  return (message, workContext) => {
    const parent = contextIn(message.properties.headers);
    const span = tracer().startSpan(
      `process ${message.queue}`,
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
