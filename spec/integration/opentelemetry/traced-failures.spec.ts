import { SpanKind, context, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { handle, type InstanceQueue } from 'instance-queue';
import { traceSends, traced } from 'instance-queue/opentelemetry';
import { throwError } from 'rxjs';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { recordedSpans } from '../../support/recorded-spans';
import { rejection, eventually } from '../../support/waiting';

const { exporter, provider } = recordedSpans();

const spans = (kind: SpanKind): ReadableSpan[] => exporter.getFinishedSpans().filter((span) => span.kind === kind);
const finished = (kind: SpanKind, count: number): Promise<ReadableSpan[]> =>
  eventually(() => (spans(kind).length >= count ? spans(kind) : undefined));
const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId;
const tracesOf = (all: readonly ReadableSpan[]): Set<string> => new Set(all.map((span) => span.spanContext().traceId));

describe('what is published on behalf of a message whose work is traced', () => {
  const given = rabbitmqFixture();
  let client: InstanceQueue;
  let queue: string;
  beforeEach(async () => {
    const { bystander, newClient } = given;
    queue = await bystander.declareQueue();
    bystander.deletesQueue(`${queue}.retry.20`);
    client = newClient();
  });

  const failing: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw new Error('not yet');
      },
    ],
    ['rejects', () => Promise.reject(new Error('not yet'))],
    ['errors', () => throwError(() => new Error('not yet'))],
  ];

  /** Fails in its first run. */
  const retrying = (fail: () => unknown): void => {
    const work = traced(({ deliveryCount }) => (deliveryCount === 0 ? fail() : undefined));
    collect(client.consume({ queue }).pipe(handle(work, { onError: client.retry({ attempts: 3, delay: 20 }) })));
  };

  it.each(failing)('stays in its trace: a retry of work that %s', async (_how, fail) => {
    const stop = traceSends();
    try {
      retrying(fail);
      await client.send({ queue, body: 1 });
      const [first, second] = await finished(SpanKind.CONSUMER, 2);
      const [sent, copy] = await finished(SpanKind.PRODUCER, 2);
      expect(first?.parentSpanContext?.spanId).toBe(idOf(sent));
      expect(copy?.parentSpanContext?.spanId).toBe(idOf(first));
      expect(second?.parentSpanContext?.spanId).toBe(idOf(copy));
      expect(tracesOf([sent!, first!, copy!, second!]).size).toBe(1);
    } finally {
      stop();
    }
  });

  it('stays in its trace where sends are not traced, and the message was sent without one', async () => {
    retrying(failing[0]![1]);
    await client.send({ queue, body: 1 });
    const [first, second] = await finished(SpanKind.CONSUMER, 2);
    expect(first?.parentSpanContext).toBeUndefined();
    expect(second?.parentSpanContext?.spanId).toBe(idOf(first));
  });

  it('stays in its trace though the connections were opened in the span of something else', async () => {
    const stop = traceSends();
    try {
      const start = provider.getTracer('app').startSpan('start');
      await context.with(trace.setSpan(context.active(), start), async () => {
        retrying(failing[1]![1]);
        await client.connect();
      });
      start.end();
      await given.bystander.put(queue, 1);
      const [first, second] = await finished(SpanKind.CONSUMER, 2);
      const [copy] = await finished(SpanKind.PRODUCER, 1);
      expect(copy?.parentSpanContext?.spanId).toBe(idOf(first));
      expect(second?.parentSpanContext?.spanId).toBe(idOf(copy));
    } finally {
      stop();
    }
  });

  it.each<[string, () => Promise<number>]>([
    ['a reply', () => Promise.resolve(5)],
    ['an error reply', () => Promise.reject(new Error('no'))],
  ])('stays in its trace: %s', async (_what, answer) => {
    const stop = traceSends();
    try {
      collect(client.respond({ queue }, traced(answer)));
      await client.request({ queue, body: 1 }).catch(() => undefined);
      const [work] = await finished(SpanKind.CONSUMER, 1);
      const [, reply] = await finished(SpanKind.PRODUCER, 2);
      expect(reply?.parentSpanContext?.spanId).toBe(idOf(work));
    } finally {
      stop();
    }
  });

  it('is decided on in its span: what an error policy of your own does is in the trace', async () => {
    const active: (string | undefined)[] = [];
    const onError = async (): Promise<'reject'> => {
      active.push(trace.getActiveSpan()?.spanContext().spanId);
      await new Promise((resolve) => setImmediate(resolve));
      active.push(trace.getActiveSpan()?.spanContext().spanId);
      return 'reject';
    };
    collect(client.consume({ queue }).pipe(handle(traced(failing[0]![1]), { onError })));
    await client.send({ queue, body: 1 });
    const [work] = await finished(SpanKind.CONSUMER, 1);
    await eventually(() => active.length === 2);
    expect(active).toEqual([idOf(work), idOf(work)]);
  });
});

describe('a message that is forwarded with its headers, outside any span', () => {
  const given = rabbitmqFixture();

  it('continues its trace', async () => {
    const stop = traceSends();
    try {
      const client = given.newClient();
      const queue = await given.bystander.declareQueue();
      const traceId = '0af7651916cd43dd8448eb211c80319c';
      const headers = { traceparent: `00-${traceId}-b7ad6b7169203331-01` };
      await client.send({ queue, body: 1, headers });
      const [sent] = await finished(SpanKind.PRODUCER, 1);
      expect(sent?.spanContext().traceId).toBe(traceId);
      expect(sent?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
      expect(await rejection(client.send({ exchange: 'amq.direct', routingKey: queue, body: 1 }))).toBeDefined();
      const [, own] = await finished(SpanKind.PRODUCER, 2);
      expect(own?.parentSpanContext).toBeUndefined();
    } finally {
      stop();
    }
  });
});
