import { metrics } from '@opentelemetry/api';
import { MeterProvider, MetricReader, type DataPoint, type Histogram } from '@opentelemetry/sdk-metrics';
import { OptionsError } from 'instance-queue';
import { meter, type MeterOptions } from 'instance-queue/opentelemetry';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closeAll, closing } from '../../support/closing';
import { eventually, rejection } from '../../support/waiting';

afterEach(closeAll);

/** Reads when it is asked. */
class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve();
  }
  protected override onShutdown(): Promise<void> {
    return Promise.resolve();
  }

  async read() {
    const { resourceMetrics } = await this.collect();
    return resourceMetrics.scopeMetrics.flatMap(({ scope, metrics }) =>
      metrics.map(({ descriptor, dataPoints }) => ({
        scope: scope.name,
        ...descriptor,
        points: (dataPoints as readonly DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
          attributes,
          count: typeof value === 'number' ? value : value.count,
          ...(typeof value === 'object' && { bounds: value.buckets.boundaries }),
        })),
      })),
    );
  }

  async points(name: string): Promise<readonly { readonly attributes: object; readonly count: number }[]> {
    return (await this.read()).find((metric) => metric.name === name)?.points ?? [];
  }
}

function measured() {
  const reader = new Reader();
  const queue = closing(new FakeInstanceQueue());
  const stop = meter(queue, { meterProvider: new MeterProvider({ readers: [reader] }) });
  closing({ close: stop });
  return { reader, queue, stop };
}

const SYSTEM = { 'messaging.system': 'rabbitmq', 'server.address': 'in-memory', 'server.port': 5672 };

it('the metrics are those of the conventions, with their units and their boundaries', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({ queues: [{ name: 'orders' }] });
  queue.consume({ queue: 'orders' }).subscribe((delivery) => {
    delivery.ack();
  });
  await queue.send({ queue: 'orders', body: 1 });
  await queue.rest();
  const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
  const metrics = await reader.read();
  expect(metrics.map(({ scope, name, unit, description }) => [scope, name, unit, description])).toEqual([
    [
      'instance-queue',
      'messaging.client.sent.messages',
      '{message}',
      'Number of messages producer attempted to send to the broker.',
    ],
    [
      'instance-queue',
      'messaging.client.consumed.messages',
      '{message}',
      'Number of messages that were delivered to the application.',
    ],
    [
      'instance-queue',
      'messaging.client.operation.duration',
      's',
      'Duration of messaging operation initiated by a producer or consumer client.',
    ],
    ['instance-queue', 'messaging.process.duration', 's', 'Duration of processing operation.'],
  ]);
  expect(metrics.slice(2).map(({ points }) => points[0])).toMatchObject([{ bounds }, { bounds }]);
});

it('a send counts for its exchange, or for its queue where there is none', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({
    exchanges: [{ name: 'events', type: 'fanout' }],
    queues: [{ name: 'orders' }],
    bindings: [{ exchange: 'events', queue: 'orders' }],
  });
  await queue.send({ queue: 'orders', body: 1 });
  await queue.send({ exchange: 'events', routingKey: 'a', body: 1 });
  await queue.send({ exchange: 'events', routingKey: 'b', body: 1 });
  const common = { ...SYSTEM, 'messaging.operation.name': 'send' };
  const points = await reader.points('messaging.client.sent.messages');
  expect(points).toMatchObject([
    { attributes: { ...common, 'messaging.destination.name': 'orders' }, count: 1 },
    { attributes: { ...common, 'messaging.destination.name': 'events' }, count: 2 },
  ]);
  expect(points[0]?.attributes).not.toHaveProperty(['error.type']);
  expect(points[0]?.attributes).not.toHaveProperty(['messaging.operation.type']);
  expect(await reader.points('messaging.client.operation.duration')).toMatchObject([
    { attributes: { ...common, 'messaging.operation.type': 'send' }, count: 1 },
    { attributes: { ...common, 'messaging.operation.type': 'send' }, count: 2 },
  ]);
});

it('a send that fails has the code of its error', async () => {
  const { reader, queue } = measured();
  await rejection(queue.producer({ declare: false }).send({ queue: 'none', body: 1 }));
  expect(await reader.points('messaging.client.sent.messages')).toMatchObject([
    { attributes: { 'messaging.destination.name': 'none', 'error.type': 'PUBLISH_RETURNED' }, count: 1 },
  ]);
});

it('a send that never went out has a duration, and was not attempted', async () => {
  const { reader, queue } = measured();
  await rejection(queue.send({ queue: 'orders', body: 1 }, { signal: AbortSignal.abort() }));
  await queue.close();
  await rejection(queue.send({ queue: 'orders', body: 1 }));
  expect(await reader.points('messaging.client.sent.messages')).toEqual([]);
  const durations = await reader.points('messaging.client.operation.duration');
  expect(durations.length).toBeGreaterThan(0);
  for (const { attributes } of durations) expect(attributes).not.toHaveProperty(['server.address']);
});

it('a delivery counts when it is handed out, and again by how it was settled; one that is released does not', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({ queues: [{ name: 'orders' }] });
  const settle = ['ack', 'requeue', 'reject', 'release', 'ack'] as const;
  let handed = 0;
  queue.consume({ queue: 'orders', prefetch: 1 }).subscribe((delivery) => {
    const how = settle[handed++] ?? 'ack';
    delivery[how]();
  });
  for (const body of [0, 1, 2]) await queue.send({ queue: 'orders', body });
  await queue.rest();
  const common = { ...SYSTEM, 'messaging.destination.name': 'orders' };
  expect(await reader.points('messaging.client.consumed.messages')).toMatchObject([
    { attributes: { ...common, 'messaging.operation.name': 'consume' }, count: 5 },
  ]);
  const processed = await reader.points('messaging.process.duration');
  expect(processed).toMatchObject([
    { attributes: { ...common, 'messaging.operation.name': 'process' }, count: 2 },
    { attributes: { ...common, 'error.type': 'requeue' }, count: 1 },
    { attributes: { ...common, 'error.type': 'reject' }, count: 1 },
  ]);
  expect(processed[0]?.attributes).not.toHaveProperty(['error.type']);
});

it('a delivery that is lost is a failure of that kind', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({ queues: [{ name: 'orders' }] });
  let handed = 0;
  queue.consume({ queue: 'orders' }).subscribe((delivery) => {
    if (handed++ > 0) delivery.ack();
  });
  await queue.send({ queue: 'orders', body: 1 });
  await eventually(() => handed === 1);
  queue.broker.disconnect();
  queue.broker.reconnect();
  await eventually(() => handed === 2);
  await queue.rest();
  expect(await reader.points('messaging.process.duration')).toMatchObject([
    { attributes: { 'error.type': 'lost' }, count: 1 },
    { attributes: { 'messaging.operation.name': 'process' }, count: 1 },
  ]);
});

it('the server is that of the connection at the time, also one with an IPv6 address', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({ queues: [{ name: 'orders' }] });
  const { state } = queue;
  const at = (endpoint?: string) => ({ ...state, producer: { status: 'disconnected', endpoint } }) as typeof state;
  const present = jest.spyOn(queue, 'state', 'get');
  for (const endpoint of [undefined, 'rabbit-1:5673/shop', '[::1]:5674/', undefined]) {
    present.mockReturnValue(at(endpoint));
    await queue.send({ queue: 'orders', body: 1 });
  }
  present.mockRestore();
  const server = (address: unknown, port: unknown) => ({ 'server.address': address, 'server.port': port });
  expect(await reader.points('messaging.client.sent.messages')).toEqual([
    { attributes: expect.not.objectContaining(server(expect.anything(), expect.anything())) as unknown, count: 1 },
    { attributes: expect.objectContaining(server('rabbit-1', 5673)) as unknown, count: 1 },
    // The last that was known.
    { attributes: expect.objectContaining(server('::1', 5674)) as unknown, count: 2 },
  ]);
});

it('metrics go to the global provider where no other is given', async () => {
  const reader = new Reader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  try {
    const queue = closing(new FakeInstanceQueue());
    closing({ close: meter(queue) });
    await queue.send({ queue: 'orders', body: 1 });
    expect(await reader.points('messaging.client.sent.messages')).toMatchObject([{ count: 1 }]);
  } finally {
    metrics.disable();
  }
});

it('a queue with a generated name has a template instead of a name', async () => {
  const { reader, queue } = measured();
  await queue.admin.declare({ exchanges: [{ name: 'events', type: 'fanout' }] });
  const topology = { bindings: [{ exchange: 'events', queue: '' }] };
  const names: string[] = [];
  queue.consume({ queue: { name: '', exclusive: true }, topology }).subscribe((delivery) => {
    names.push(delivery.queue);
    delivery.ack();
  });
  await queue.rest();
  await queue.send({ exchange: 'events', body: 1 });
  await queue.rest();
  expect(names).toHaveLength(1);
  const [point] = await reader.points('messaging.client.consumed.messages');
  expect(point?.attributes).not.toHaveProperty(['messaging.destination.name']);
  expect(point?.attributes).toMatchObject({ 'messaging.destination.template': 'amq.gen-*' });
  expect(JSON.stringify(point)).not.toContain(names[0]);
});

it('nothing is measured after it was stopped', async () => {
  const { reader, queue, stop } = measured();
  await queue.admin.declare({ queues: [{ name: 'orders' }] });
  stop();
  await queue.send({ queue: 'orders', body: 1 });
  expect(await reader.read()).toEqual([]);
});

it.each<[string, unknown]>([
  ['meterProvider', { meterProvider: null }],
  ['meterProvider', { meterProvider: 'global' }],
  ['meterProvider', { meterProvider: {} }],
  ['meterProvider', { meterProvider: { getMeter: 5 } }],
  ['provider', { provider: {} }],
  ['meter()', 5],
])('a wrong `%s` is refused: %j', (option, options) => {
  const made = (): unknown => meter(closing(new FakeInstanceQueue()), options as MeterOptions);
  expect(made).toThrow(OptionsError);
  expect(made).toThrow(option);
  if (option === 'meterProvider') expect(made).toThrow('a MeterProvider of @opentelemetry/api');
});
