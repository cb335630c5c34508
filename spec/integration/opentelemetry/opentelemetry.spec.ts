import { SpanKind, SpanStatusCode, context, propagation, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-node';
import { InstanceQueue, handle, publish } from 'instance-queue';
import { traceSends, traced } from 'instance-queue/opentelemetry';
import { defer, from, map, timer } from 'rxjs';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
let stop: () => void;
let queue: InstanceQueue;
let name: string;

beforeAll(() => {
  provider.register();
});
beforeEach(async () => {
  exporter.reset();
  stop = traceSends();
  name = await closing(await Bystander.at(url)).declareQueue();
  queue = closing(new InstanceQueue(url));
});
afterEach(async () => {
  stop();
  await closeAll();
});
afterAll(async () => {
  await provider.shutdown();
  trace.disable();
  context.disable();
  propagation.disable();
});

const spans = (kind: SpanKind): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.kind === kind);
const activeTrace = (): string | undefined => trace.getActiveSpan()?.spanContext().traceId;
const finished = (kind: SpanKind, count: number): Promise<ReadableSpan[]> =>
  eventually(() => (spans(kind).length === count ? spans(kind) : undefined));

test('a trace leads from the request over the send into the work, and to what the work sends', async () => {
  const next = await closing(await Bystander.at(url)).declareQueue();
  const request = provider.getTracer('app').startSpan('request');
  const { traceId, spanId } = request.spanContext();
  const seen: unknown[] = [];
  const ship = traced(async () => {
    seen.push(activeTrace());
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(activeTrace());
    await queue.send({ queue: next, body: 'shipped' });
  });
  queue.consume({ queue: name }).pipe(handle(ship)).subscribe();
  const sent = context.with(trace.setSpan(context.active(), request), () =>
    queue.send({ queue: name, body: 1, messageId: 'm' }),
  );
  await sent;
  request.end();
  const [work] = await finished(SpanKind.CONSUMER, 1);
  const [first, second] = await finished(SpanKind.PRODUCER, 2);
  expect(first).toMatchObject({ name: `send ${name}`, parentSpanContext: { spanId } });
  expect(first?.attributes).toMatchObject({
    'messaging.system': 'rabbitmq',
    'messaging.destination.name': name,
    'messaging.message.id': 'm',
    'instance_queue.attempts': 1,
  });
  expect(work).toMatchObject({ name: `process ${name}`, parentSpanContext: { spanId: first?.spanContext().spanId } });
  expect(second).toMatchObject({ name: `send ${next}`, parentSpanContext: { spanId: work?.spanContext().spanId } });
  expect([first, work, second].map((span) => span?.spanContext().traceId)).toEqual([traceId, traceId, traceId]);
  expect(seen).toEqual([traceId, traceId]);
});

test('each of many messages keeps its own trace, also behind others that wait for a place', async () => {
  const bodies = Array.from({ length: 30 }, (_, i) => i);
  const own = new Map<number, string>();
  const messages$ = from(bodies).pipe(map((body) => ({ queue: name, body, headers: { body } })));
  const worked = new Map<number, unknown>();
  const work = traced<number, undefined>(async ({ body }) => {
    await new Promise((resolve) => setImmediate(resolve));
    worked.set(body, activeTrace());
    return undefined;
  });
  queue
    .consume<number>({ queue: name })
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
  messages$.pipe(publish(queue)).subscribe();
  await finished(SpanKind.CONSUMER, bodies.length);
  expect(new Set(own.values()).size).toBe(bodies.length);
  expect(worked).toEqual(own);
});

test('work that is an Observable runs in its span, until it ends', async () => {
  const seen: unknown[] = [];
  const work = traced(() =>
    defer(() => (seen.push(activeTrace()), timer(5))).pipe(map(() => seen.push(activeTrace()))),
  );
  queue.consume({ queue: name }).pipe(handle(work)).subscribe();
  await queue.send({ queue: name, body: 1 });
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
])('work that %s fails its span, and the message', async (_how, work) => {
  const handled: unknown[] = [];
  queue
    .consume({ queue: name })
    .pipe(handle(traced(work), { onError: 'reject' }))
    .subscribe((one) => handled.push(one));
  await queue.send({ queue: name, body: 1 });
  const [span] = await finished(SpanKind.CONSUMER, 1);
  expect(span).toMatchObject({ status: { code: SpanStatusCode.ERROR, message: 'no' } });
  expect(span?.attributes['error.type']).toBe('RangeError');
  expect(span?.events[0]?.name).toBe('exception');
  await eventually(() => handled.length === 1);
  expect(handled).toMatchObject([{ settlement: 'reject' }]);
});

test('a send that fails fails its span with its code', async () => {
  await publishError(queue.send({ exchange: 'amq.direct', routingKey: name, body: 1 }));
  expect(spans(SpanKind.PRODUCER)).toMatchObject([
    {
      name: 'send amq.direct',
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'PUBLISH_RETURNED' },
    },
  ]);
});

test('a message without a context, or with nonsense for one, begins a trace of its own', async () => {
  const seen: unknown[] = [];
  queue
    .consume({ queue: name })
    .pipe(handle(traced(() => void seen.push(activeTrace()))))
    .subscribe();
  stop();
  for (const headers of [{}, { traceparent: 'nonsense' }, { traceparent: 5 }])
    await queue.send({ queue: name, body: 1, headers });
  const all = await finished(SpanKind.CONSUMER, 3);
  expect(all.map(({ parentSpanContext }) => parentSpanContext)).toEqual([undefined, undefined, undefined]);
  expect(new Set(seen).size).toBe(3);
  expect(spans(SpanKind.PRODUCER)).toEqual([]);
});

test('asked for twice, sends have one span, and keep it until both have stopped', async () => {
  const again = traceSends();
  await queue.send({ queue: name, body: 1 });
  again();
  again();
  await queue.send({ queue: name, body: 2 });
  expect(spans(SpanKind.PRODUCER)).toHaveLength(2);
});
