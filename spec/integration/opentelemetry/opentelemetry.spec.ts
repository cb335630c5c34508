import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { handle, publish, type InstanceQueue } from 'instance-queue';
import { traceSends, traced } from 'instance-queue/opentelemetry';
import { defer, from, map, timer } from 'rxjs';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { numbers } from '../../support/numbers';
import { publishError } from '../../support/publish-error';
import { recordedSpans } from '../../support/recorded-spans';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { exporter, provider } = recordedSpans();
let stop: () => void;
let client: InstanceQueue;
let queue: string;

beforeEach(async () => {
  stop = traceSends();
  queue = await given.bystander.declareQueue();
  client = given.newClient();
});
afterEach(() => {
  stop();
});

const spans = (kind: SpanKind): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.kind === kind);
const activeTrace = (): string | undefined => trace.getActiveSpan()?.spanContext().traceId;
const finished = (kind: SpanKind, count: number): Promise<ReadableSpan[]> =>
  eventually(() => (spans(kind).length === count ? spans(kind) : undefined));

test('a trace goes from the request through the send into the handler, and on to what the handler sends', async () => {
  const next = await given.bystander.declareQueue();
  const request = provider.getTracer('app').startSpan('request');
  const { traceId, spanId } = request.spanContext();
  const seen: unknown[] = [];
  const ship = traced(async () => {
    seen.push(activeTrace());
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(activeTrace());
    await client.send({ queue: next, body: 'shipped' });
  });
  client.consume({ queue }).pipe(handle(ship)).subscribe();
  const sent = context.with(trace.setSpan(context.active(), request), () =>
    client.send({ queue, body: 1, messageId: 'm' }),
  );
  await sent;
  request.end();
  const [work] = await finished(SpanKind.CONSUMER, 1);
  const [first, second] = await finished(SpanKind.PRODUCER, 2);
  expect(first).toMatchObject({ name: `send ${queue}`, parentSpanContext: { spanId } });
  expect(first?.attributes).toMatchObject({
    'messaging.system': 'rabbitmq',
    'messaging.destination.name': queue,
    'messaging.message.id': 'm',
    'instance_queue.attempts': 1,
  });
  expect(work).toMatchObject({ name: `process ${queue}`, parentSpanContext: { spanId: first?.spanContext().spanId } });
  expect(second).toMatchObject({ name: `send ${next}`, parentSpanContext: { spanId: work?.spanContext().spanId } });
  expect([first, work, second].map((span) => span?.spanContext().traceId)).toEqual([traceId, traceId, traceId]);
  expect(seen).toEqual([traceId, traceId]);
});

test('each of many messages keeps its own trace, even if it waits for others', async () => {
  const bodies = numbers(30);
  const own = new Map<number, string>();
  const messages$ = from(bodies).pipe(map((body) => ({ queue, body, headers: { body } })));
  const worked = new Map<number, unknown>();
  const work = traced<number, undefined>(async ({ body }) => {
    await new Promise((resolve) => setImmediate(resolve));
    worked.set(body, activeTrace());
    return undefined;
  });
  client
    .consume<number>({ queue })
    .pipe(
      handle(
        (message, given) => {
          own.set(message.body, String(message.properties.headers?.['traceparent']).split('-')[1]!);
          return work(message, given);
        },
        { concurrency: 3 },
      ),
    )
    .subscribe();
  messages$.pipe(publish(client)).subscribe();
  await finished(SpanKind.CONSUMER, bodies.length);
  expect(new Set(own.values()).size).toBe(bodies.length);
  expect(worked).toEqual(own);
});

test('work that is an Observable runs in its span until it completes', async () => {
  const seen: unknown[] = [];
  const work = traced(() =>
    defer(() => (seen.push(activeTrace()), timer(5))).pipe(map(() => seen.push(activeTrace()))),
  );
  client.consume({ queue }).pipe(handle(work)).subscribe();
  await client.send({ queue, body: 1 });
  const [span] = await finished(SpanKind.CONSUMER, 1);
  expect(seen).toEqual([span?.spanContext().traceId, span?.spanContext().traceId]);
});

test.each([
  [
    'throws',
    () => {
      throw new RangeError('no');
    },
  ],
  ['rejects', () => Promise.reject(new RangeError('no'))],
  [
    'errors',
    () =>
      defer(() => {
        throw new RangeError('no');
      }),
  ],
])('work that %s sets the error status of its span, and the message is rejected', async (_how, work) => {
  const handled: unknown[] = [];
  client
    .consume({ queue })
    .pipe(handle(traced(work), { onError: 'reject' }))
    .subscribe((one) => handled.push(one));
  await client.send({ queue, body: 1 });
  const [span] = await finished(SpanKind.CONSUMER, 1);
  expect(span).toMatchObject({ status: { code: SpanStatusCode.ERROR, message: 'no' } });
  expect(span?.attributes['error.type']).toBe('RangeError');
  expect(span?.events[0]?.name).toBe('exception');
  await eventually(() => handled.length === 1);
  expect(handled).toMatchObject([{ settlement: 'reject' }]);
});

test('a send that fails sets the error status of its span, with its code', async () => {
  await publishError(client.send({ exchange: 'amq.direct', routingKey: queue, body: 1 }));
  expect(spans(SpanKind.PRODUCER)).toMatchObject([
    {
      name: 'send amq.direct',
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'PUBLISH_RETURNED' },
    },
  ]);
});

test('a message without a valid context starts a new trace', async () => {
  const seen: unknown[] = [];
  client
    .consume({ queue })
    .pipe(handle(traced(() => void seen.push(activeTrace()))))
    .subscribe();
  stop();
  for (const headers of [{}, { traceparent: 'nonsense' }, { traceparent: 5 }])
    await client.send({ queue, body: 1, headers });
  const all = await finished(SpanKind.CONSUMER, 3);
  expect(all.map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined, undefined]);
  expect(new Set(seen).size).toBe(3);
  expect(spans(SpanKind.PRODUCER)).toEqual([]);
});

test('called twice, traceSends makes one span per send, until both calls are stopped', async () => {
  const again = traceSends();
  await client.send({ queue, body: 1 });
  again();
  again();
  await client.send({ queue, body: 2 });
  expect(spans(SpanKind.PRODUCER)).toHaveLength(2);
});

test('a send that is under way when tracing stops has a span with its end, and the next one has none', async () => {
  const sent = client.send({ queue, body: 1 });
  stop();
  await sent;
  await client.send({ queue, body: 2 });
  expect(spans(SpanKind.PRODUCER)).toMatchObject([{ attributes: { 'instance_queue.attempts': 1 } }]);
  const again = traceSends();
  const third = client.send({ queue, body: 3 });
  again();
  const once = traceSends();
  await Promise.all([third, client.send({ queue, body: 4 })]);
  once();
  await client.send({ queue, body: 5 });
  expect(spans(SpanKind.PRODUCER)).toHaveLength(3);
});

test('names that the broker made up are in no name of a span: each would be a series of its own', async () => {
  const work = traced(({ body }) => body);
  collect(client.respond({ queue }, work));
  const consumer = client.consumer({ queue: '' });
  collect(consumer.deliveries$.pipe(handle(traced(() => undefined))));
  const state = await until(consumer.state$, ({ status }) => status === 'attached');
  const generated = state.status === 'attached' ? state.queue : '';
  await client.request({ queue, body: 1 });
  await client.send({ exchange: '', routingKey: generated, body: 2 });
  const sent = await finished(SpanKind.PRODUCER, 3);
  const worked = await finished(SpanKind.CONSUMER, 2);
  const replies = 'amq.rabbitmq.reply-to.*';
  expect(sent.map(({ name }) => name).sort()).toEqual([`send ${replies}`, 'send amq.gen-*', `send ${queue}`].sort());
  expect(worked.map(({ name }) => name).sort()).toEqual(['process amq.gen-*', `process ${queue}`].sort());
  const templates = [...sent, ...worked].map(({ attributes }) => attributes['messaging.destination.template']);
  expect(templates.sort()).toEqual(['amq.gen-*', 'amq.gen-*', replies, undefined, undefined]);
  expect(sent.map(({ attributes }) => attributes['messaging.destination.name'])).toContain(generated);
});

test('a thenable that throws ends its span with the error', async () => {
  const work = traced(() => ({
    then: (): never => {
      throw new Error('no promise');
    },
  }));
  collect(client.consume({ queue }).pipe(handle(work, { onError: 'reject' })));
  await client.send({ queue, body: 1 });
  expect(await finished(SpanKind.CONSUMER, 1)).toMatchObject([{ status: { message: 'no promise' } }]);
});
