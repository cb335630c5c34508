import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { ConsumerError, type Message } from 'instance-queue';
import { traced, traceSends } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { isObservable, lastValueFrom, Observable, of, throwError } from 'rxjs';
import { closeAll, closing } from '../../support/closing';
import { recordedSpans } from '../../support/recorded-spans';
import { rejection } from '../../support/waiting';

const { exporter, provider } = recordedSpans();
afterEach(closeAll);

const never = { signal: new AbortController().signal };
const spans = (): ReadableSpan[] => exporter.getFinishedSpans();

const message: Message<string> = {
  body: 'text',
  content: Buffer.from('text'),
  queue: 'orders',
  exchange: 'events',
  routingKey: 'order.paid',
  redelivered: false,
  deliveryCount: 0,
  properties: { messageId: 'm1' },
};

const throwing = (thrown: unknown): Observable<never> =>
  new Observable((subscriber) => {
    subscriber.error(thrown);
  });
const outcome = (result: unknown): unknown => (isObservable(result) ? lastValueFrom(result) : result);

describe('the work on a message', () => {
  it.each<[string, () => unknown]>([
    ['a value', () => 5],
    ['a promise', () => Promise.resolve(5)],
    ['an Observable', () => of(4, 5)],
  ])('has a span that ends with it: %s', async (_, work) => {
    const result = traced(work)(message, never);
    expect(spans()).toHaveLength(result === 5 ? 1 : 0);
    expect(await outcome(result)).toBe(5);
    expect(spans()).toMatchObject([
      {
        name: 'process orders',
        kind: SpanKind.CONSUMER,
        status: { code: SpanStatusCode.UNSET },
        attributes: {
          'messaging.system': 'rabbitmq',
          'messaging.operation.type': 'process',
          'messaging.operation.name': 'process',
          'messaging.destination.name': 'events:order.paid:orders',
          'messaging.rabbitmq.destination.routing_key': 'order.paid',
          'messaging.message.id': 'm1',
          'instance_queue.redelivered': false,
        },
      },
    ]);
  });

  it.each<[string, () => unknown]>([
    [
      'is thrown',
      () => {
        throw new RangeError('broken');
      },
    ],
    ['a promise rejects with', () => Promise.reject(new RangeError('broken'))],
    ['an Observable errors with', () => throwError(() => new RangeError('broken'))],
  ])('fails its span with what %s', async (_, work) => {
    const failed = await rejection(Promise.resolve().then(() => outcome(traced(work)(message, never))));
    expect(failed).toMatchObject({ message: 'broken' });
    expect(spans()).toMatchObject([
      {
        status: { code: SpanStatusCode.ERROR, message: 'broken' },
        attributes: { 'error.type': 'RangeError' },
        events: [{ name: 'exception', attributes: { 'exception.message': 'broken' } }],
      },
    ]);
  });

  it('fails its span with the code of an error of this library, and with what is no error', async () => {
    const codes: unknown[] = [new ConsumerError('CONSUMER_CANCELLED', 'orders', 'cancelled'), 'only text'];
    for (const thrown of codes)
      await rejection(Promise.resolve(traced(() => lastValueFrom(throwing(thrown)))(message, never)));
    expect(spans()).toMatchObject([
      { attributes: { 'error.type': 'CONSUMER_CANCELLED' } },
      { status: { message: 'only text' }, events: [{ attributes: { 'exception.message': 'only text' } }] },
    ]);
  });
});

describe('a send', () => {
  async function given(): Promise<FakeInstanceQueue> {
    const queue = closing(new FakeInstanceQueue());
    await queue.admin.declare({ queues: [{ name: 'orders' }] });
    return queue;
  }

  it('has a span that ends with its confirm, and whose context is in the headers', async () => {
    const queue = await given();
    closing({ close: traceSends() });
    const sent = queue.send({ queue: 'orders', body: 1, messageId: 'm1' });
    expect(spans()).toEqual([]);
    await sent;
    const [span] = spans();
    expect(span).toMatchObject({
      name: 'send orders',
      kind: SpanKind.PRODUCER,
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'messaging.system': 'rabbitmq',
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'send',
        'messaging.destination.name': 'orders',
        'messaging.rabbitmq.destination.routing_key': 'orders',
        'messaging.message.id': 'm1',
        'instance_queue.attempts': 1,
      },
    });
    const { traceId = '', spanId = '' } = span?.spanContext() ?? {};
    expect(queue.broker.messages('orders')[0]?.properties.headers).toEqual({
      traceparent: `00-${traceId}-${spanId}-01`,
    });
  });

  it('that is forwarded continues the trace of its headers, unless a span is active', async () => {
    const queue = await given();
    closing({ close: traceSends() });
    const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
    await queue.send({ queue: 'orders', body: 1, headers });
    const own = provider.getTracer('app').startSpan('own');
    await context.with(trace.setSpan(context.active(), own), () => queue.send({ queue: 'orders', body: 2, headers }));
    expect(spans().map((span) => span.spanContext().traceId)).toEqual([
      '0af7651916cd43dd8448eb211c80319c',
      own.spanContext().traceId,
    ]);
  });

  it('begins a trace of its own where the headers hold nonsense', async () => {
    const queue = await given();
    closing({ close: traceSends() });
    await queue.send({ queue: 'orders', body: 1, headers: { traceparent: 5, tracestate: 'x' } });
    expect(spans()).toMatchObject([{ parentSpanContext: undefined }]);
  });

  it('that fails has the code of its error', async () => {
    const queue = await given();
    closing({ close: traceSends() });
    await rejection(queue.producer({ declare: false }).send({ queue: 'none', body: 1 }));
    expect(spans()).toMatchObject([
      { status: { code: SpanStatusCode.ERROR }, attributes: { 'error.type': 'PUBLISH_RETURNED' } },
    ]);
    expect(spans()[0]?.attributes).not.toHaveProperty(['instance_queue.attempts']);
  });

  it('has no span after all have stopped, and one while any traces; one under way ends its span', async () => {
    const queue = await given();
    const [stop, other] = [traceSends(), traceSends()];
    stop();
    stop();
    await queue.send({ queue: 'orders', body: 1 });
    expect(spans()).toHaveLength(1);
    const sent = queue.send({ queue: 'orders', body: 2 });
    other();
    await queue.send({ queue: 'orders', body: 3 });
    await sent;
    expect(spans()).toHaveLength(2);
  });
});
