import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { ConsumerError, handle, type Message, OptionsError } from 'instance-queue';
import { traced, traceSends } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { defer, isObservable, lastValueFrom, map, Observable, of, throwError, timer } from 'rxjs';
import { collect } from '../../support/collect';
import { closeAll, closing } from '../../support/closing';
import { recordedSpans } from '../../support/recorded-spans';
import { eventually, rejection } from '../../support/waiting';

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

describe('a traced worker', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const activeSpan = (): string | undefined => trace.getActiveSpan()?.spanContext().spanId;

  it.each<[string, (note: () => void) => unknown]>([
    [
      'as it begins',
      (note) => {
        note();
      },
    ],
    ['behind an await', (note) => Promise.resolve().then(note)],
    ['in an Observable', (note) => defer(() => (note(), timer(1))).pipe(map(note))],
  ])('runs in its span %s', async (_, work) => {
    const seen: unknown[] = [];
    await outcome(traced(() => work(() => seen.push(activeSpan())))(message, never));
    const [span] = spans();
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(seen)).toEqual(new Set([span?.spanContext().spanId]));
  });

  it('continues the trace of the message, and no other', () => {
    const own = provider.getTracer('app').startSpan('own');
    const run = (headers: Readonly<Record<string, unknown>> | undefined): void => {
      const properties = headers === undefined ? {} : { headers };
      void context.with(trace.setSpan(context.active(), own), () => traced(() => 5)({ ...message, properties }, never));
    };
    const inherited = Object.create({ traceparent }) as Readonly<Record<string, unknown>>;
    for (const headers of [{ traceparent }, { traceparent: 5 }, inherited, undefined]) run(headers);
    expect(spans().map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      'b7ad6b7169203331',
      undefined,
      undefined,
      undefined,
    ]);
  });

  it.each<[Partial<Message<string>>, string, object]>([
    [{ exchange: '', routingKey: 'orders' }, 'process orders', { 'messaging.destination.name': 'orders' }],
    [{ routingKey: '' }, 'process orders', { 'messaging.destination.name': 'events:orders' }],
    [
      { queue: 'amq.gen-AbC123' },
      'process amq.gen-*',
      {
        'messaging.destination.name': 'events:order.paid:amq.gen-AbC123',
        'messaging.destination.template': 'amq.gen-*',
      },
    ],
    [{ redelivered: true }, 'process orders', { 'instance_queue.redelivered': true }],
  ])('is named by where the message was: %j', (more, name, attributes) => {
    void traced(() => 5)({ ...message, properties: {}, ...more }, never);
    const [span] = spans();
    expect(span).toMatchObject({ name, attributes });
    expect('messaging.message.id' in (span?.attributes ?? {})).toBe(false);
    expect('messaging.destination.template' in (span?.attributes ?? {})).toBe(name.includes('*'));
    expect('messaging.rabbitmq.destination.routing_key' in (span?.attributes ?? {})).toBe(more.routingKey !== '');
  });

  it('fails with a thenable that throws', async () => {
    const thenable = {
      then: () => {
        throw new RangeError('broken');
      },
    };
    const failed = await rejection(Promise.resolve(traced(() => thenable as unknown as Promise<void>)(message, never)));
    expect(failed).toMatchObject({ message: 'broken' });
    expect(spans()).toMatchObject([{ attributes: { 'error.type': 'RangeError' } }]);
  });

  it('is made of a function alone', () => {
    expect(() => traced('work' as never)).toThrow(OptionsError);
  });

  it('gives its trace to what is published for the message: the copy of a retry, and a reply', async () => {
    const queue = closing(new FakeInstanceQueue());
    await queue.admin.declare({ queues: [{ name: 'orders' }, { name: 'asked' }] });
    const work = traced<unknown, string>(({ deliveryCount }) => {
      if (deliveryCount === 0) throw new Error('not yet');
      return 'done';
    });
    const onError = queue.retry({ attempts: 2, delay: 1 });
    collect(queue.consume({ queue: 'orders' }).pipe(handle(work, { onError })));
    await queue.send({ queue: 'orders', body: 1 });
    const [first, second] = await eventually(() => (spans().length === 2 ? spans() : undefined));
    expect(second?.parentSpanContext?.spanId).toBe(first?.spanContext().spanId);
    exporter.reset();
    closing({ close: traceSends() });
    const answer = traced(() => 'answer');
    collect(queue.respond({ queue: 'asked' }, answer));
    await queue.request({ queue: 'asked', body: 1 });
    const spansOf = (kind: SpanKind): ReadableSpan[] => spans().filter((span) => span.kind === kind);
    const [asked] = await eventually(() =>
      spansOf(SpanKind.CONSUMER).length === 1 ? spansOf(SpanKind.CONSUMER) : undefined,
    );
    const sent = await eventually(() =>
      spansOf(SpanKind.PRODUCER).length === 2 ? spansOf(SpanKind.PRODUCER) : undefined,
    );
    expect(sent.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toContain(asked?.spanContext().spanId);
  });

  it('is where an error policy is decided on', async () => {
    const queue = closing(new FakeInstanceQueue());
    const active: unknown[] = [];
    const onError = async (): Promise<'reject'> => {
      active.push(activeSpan());
      await new Promise((resolve) => setImmediate(resolve));
      active.push(activeSpan());
      return 'reject';
    };
    const work = traced(() => Promise.reject(new Error('no')));
    collect(queue.consume({ queue: 'orders' }).pipe(handle(work, { onError })));
    await queue.send({ queue: 'orders', body: 1 });
    await eventually(() => active.length === 2);
    const id = spans()[0]?.spanContext().spanId;
    expect(active).toEqual([id, id]);
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
