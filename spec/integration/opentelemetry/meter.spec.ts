import { metrics } from '@opentelemetry/api';
import {
  MeterProvider,
  MetricReader,
  type DataPoint,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { handle, OptionsError, type InstanceQueue } from 'instance-queue';
import { meter } from 'instance-queue/opentelemetry';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();
const { hostname, port } = new URL(given.url);
const server = { 'server.address': hostname, 'server.port': Number(port) };

/** Reads when it is asked. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }

  async metric(name: string): Promise<MetricData | undefined> {
    const { resourceMetrics } = await this.collect();
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return all.find(({ descriptor }) => descriptor.name === name);
  }

  /** For each set of attributes the value of a counter, or the count of a histogram. */
  async points(name: string): Promise<readonly { readonly attributes: object; readonly value: number }[]> {
    const { dataPoints = [] } = (await this.metric(name)) ?? {};
    return (dataPoints as readonly DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
      attributes,
      value: typeof value === 'number' ? value : value.count,
    }));
  }
}

let reader: Reader;
let meterProvider: MeterProvider;
let client: InstanceQueue;
let queue: string;
beforeEach(async () => {
  reader = new Reader();
  meterProvider = new MeterProvider({ readers: [reader] });
  client = given.newClient();
  queue = await given.bystander.declareQueue();
});

const of = (operation: string, destination = queue) => ({
  'messaging.system': 'rabbitmq',
  'messaging.operation.name': operation,
  'messaging.destination.name': destination,
  ...server,
});

test('a message that is sent, handed out and worked on is measured by the conventions', async () => {
  meter(client, { meterProvider });
  client
    .consume({ queue })
    .pipe(handle(() => undefined))
    .subscribe();
  for (const body of [1, 2]) await client.send({ queue, body });
  await eventually(() => client.metrics.acked === 2);
  expect(await reader.points('messaging.client.sent.messages')).toEqual([{ attributes: of('send'), value: 2 }]);
  expect(await reader.points('messaging.client.operation.duration')).toEqual([
    { attributes: { ...of('send'), 'messaging.operation.type': 'send' }, value: 2 },
  ]);
  expect(await reader.points('messaging.client.consumed.messages')).toEqual([{ attributes: of('consume'), value: 2 }]);
  expect(await reader.points('messaging.process.duration')).toEqual([{ attributes: of('process'), value: 2 }]);
});

test.each([
  ['messaging.client.sent.messages', '{message}'],
  ['messaging.client.consumed.messages', '{message}'],
  ['messaging.client.operation.duration', 's'],
  ['messaging.process.duration', 's'],
])('%s has the unit %s, and buckets in seconds', async (metric, unit) => {
  meter(client, { meterProvider });
  client
    .consume({ queue })
    .pipe(handle(() => undefined))
    .subscribe();
  await client.send({ queue, body: 1 });
  await eventually(() => client.metrics.acked === 1);
  const data = await reader.metric(metric);
  expect(data?.descriptor.unit).toBe(unit);
  const [point] = (data?.dataPoints ?? []) as readonly DataPoint<number | Histogram>[];
  if (typeof point?.value === 'object') {
    const { buckets, sum = 0 } = point.value;
    expect(buckets.boundaries).toEqual([0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]);
    expect(sum).toBeGreaterThan(0);
    expect(sum).toBeLessThan(20);
  }
});

test('a send that failed has the code as error.type, and is not counted as sent if it was never tried', async () => {
  meter(client, { meterProvider });
  await client.connect();
  const returned = await publishError(client.send({ exchange: 'amq.direct', routingKey: queue, body: 1 }));
  const refused = await publishError(client.send({ queue, body: 1, headers: { big: 'x'.repeat(200_000) } }));
  expect([returned.code, refused.code]).toEqual(['PUBLISH_RETURNED', 'PUBLISH_INVALID']);
  expect(await reader.points('messaging.client.sent.messages')).toEqual([
    { attributes: { ...of('send', 'amq.direct'), 'error.type': 'PUBLISH_RETURNED' }, value: 1 },
  ]);
  const durations = await reader.points('messaging.client.operation.duration');
  expect(durations.map(({ attributes }) => attributes)).toEqual([
    expect.objectContaining({ 'messaging.destination.name': 'amq.direct', 'error.type': 'PUBLISH_RETURNED' }),
    expect.objectContaining({ 'messaging.destination.name': queue, 'error.type': 'PUBLISH_INVALID' }),
  ]);
});

test('a delivery that was rejected has its settlement as error.type; one that was released was not processed', async () => {
  meter(client, { meterProvider });
  const settle = ['reject', 'release', 'ack'] as const;
  let next = 0;
  client.consume({ queue, prefetch: 1 }).subscribe((delivery) => delivery[settle[next++ % 3]!]());
  await client.send({ queue, body: 1 });
  await client.send({ queue, body: 2 });
  await eventually(() => client.metrics.acked === 1);
  expect(client.metrics).toMatchObject({ rejected: 1, released: 1, acked: 1 });
  const points = await reader.points('messaging.process.duration');
  expect(points).toEqual([
    { attributes: { ...of('process'), 'error.type': 'reject' }, value: 1 },
    { attributes: of('process'), value: 1 },
  ]);
});

test('queues with generated names are measured as one', async () => {
  meter(client, { meterProvider });
  client.respond({ queue }, () => 'reply').subscribe();
  await client.request({ queue, body: 1 });
  const sent = await reader.points('messaging.client.sent.messages');
  const { 'messaging.destination.name': _, ...reply } = of('send');
  expect(sent).toContainEqual({
    attributes: { ...reply, 'messaging.destination.template': 'amq.rabbitmq.reply-to.*' },
    value: 1,
  });
});

test('the global MeterProvider is the default; after stop(), and of another InstanceQueue, nothing is measured', async () => {
  metrics.setGlobalMeterProvider(meterProvider);
  const stop = meter(client);
  metrics.disable();
  const other = given.newClient();
  await other.send({ queue, body: 0 });
  await client.send({ queue, body: 1 });
  stop();
  await client.send({ queue, body: 2 });
  expect((await reader.points('messaging.client.sent.messages')).map(({ value }) => value)).toEqual([1]);
});

test('what is not a MeterProvider is refused', () => {
  // @ts-expect-error: a meter is not a provider
  expect(() => meter(client, { meterProvider: meterProvider.getMeter('x') })).toThrow(OptionsError);
});
