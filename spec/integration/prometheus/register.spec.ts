import type { LRParser } from '@lezer/lr';
import { handle, OptionsError, type InstanceQueue } from 'instance-queue';
import { register } from 'instance-queue/prometheus';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { root } from '../../support/compiler';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { publishError } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();

let queue: string;
let client: InstanceQueue;
let registry: Registry;
beforeEach(async () => {
  queue = await given.bystander.declareQueue();
  client = given.newClient();
  registry = new Registry();
});

/** The value of a metric, as Prometheus reads it; labels in the order in which they are declared. */
async function value(metric: string): Promise<number | undefined> {
  const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${metric} `));
  return line === undefined ? undefined : Number(line.slice(metric.length + 1));
}

/** The sum over all labels of a metric. */
async function sum(metric: string): Promise<number> {
  const lines = (await registry.metrics()).split('\n').filter((one) => one.startsWith(metric));
  return lines
    .filter((line) => /[ {]/.test(line.charAt(metric.length)))
    .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0);
}

const snakeCase = (counter: string): string => counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

async function expectCounters(): Promise<void> {
  const { inFlight: _, outbox: __, ...counters } = client.metrics;
  for (const [counter, count] of Object.entries(counters))
    expect([counter, await sum(`instance_queue_${snakeCase(counter)}_total`)]).toEqual([counter, count]);
}

test('every counter and gauge is as it is when Prometheus scrapes', async () => {
  register(client, registry);
  await expectCounters();
  expect(await value('instance_queue_up')).toBe(0);
  client
    .consume<number>({ queue })
    .pipe(
      handle(
        ({ body }) => {
          if (body === 3) throw new Error('bad');
        },
        { onError: 'reject' },
      ),
    )
    .subscribe();
  for (const body of [1, 2, 3]) await client.send({ queue, body });
  await eventually(() => client.metrics.acked + client.metrics.rejected === 3);
  await expectCounters();
  expect(await value('instance_queue_sent_total')).toBe(3);
  expect(await value(`instance_queue_acked_total{queue="${queue}"}`)).toBe(2);
  expect(await value(`instance_queue_rejected_total{queue="${queue}"}`)).toBe(1);
  expect(await value('instance_queue_in_flight')).toBe(0);
  expect(await value('instance_queue_outbox_queued')).toBe(0);
  expect(await value('instance_queue_up')).toBe(1);
  expect(await value('instance_queue_connected{role="consumer"}')).toBe(1);
  expect(await value(`instance_queue_consumers{queue="${queue}",status="attached"}`)).toBe(1);
});

test('deliveries are counted by their queue, those without settling too, and those from before under no name', async () => {
  await client.send({ queue, body: 1 });
  const early = await new Promise<{ ack(): boolean }>((resolve) => {
    client.consume({ queue, prefetch: 1 }).subscribe(resolve);
  });
  register(client, registry);
  early.ack();
  await client.send({ queue, body: 2 });
  await eventually(() => client.metrics.delivered === 2);
  expect(await value('instance_queue_delivered_total{queue=""}')).toBe(1);
  expect(await value(`instance_queue_delivered_total{queue="${queue}"}`)).toBe(1);
  expect(await value('instance_queue_acked_total{queue=""}')).toBe(1);
  const other = await given.bystander.declareQueue();
  client.consume({ queue: other, noAck: true }).subscribe();
  await client.send({ queue: other, body: 3 });
  await eventually(() => client.metrics.delivered === 3);
  expect(await value(`instance_queue_delivered_total{queue="${other}"}`)).toBe(1);
  await expectCounters();
});

test('the duration of sends is measured by destination and outcome', async () => {
  register(client, registry);
  await client.send({ queue, body: 1 });
  await client.send({ exchange: 'amq.fanout', body: 1 }, { timeout: 5000 }).catch(() => undefined);
  const { code } = await publishError(client.send({ exchange: 'amq.direct', routingKey: queue, body: 1 }));
  const count = (labels: string) => value(`instance_queue_send_duration_seconds_count{${labels}}`);
  expect(await count(`queue="${queue}",exchange="",outcome="confirmed"`)).toBe(1);
  expect(await count(`queue="",exchange="amq.direct",outcome="${code}"`)).toBe(1);
  const total = await value(
    `instance_queue_send_duration_seconds_sum{queue="${queue}",exchange="",outcome="confirmed"}`,
  );
  expect(total).toBeGreaterThan(0);
  expect(total).toBeLessThan(20);
});

test('the duration of deliveries is measured by queue and settlement', async () => {
  register(client, registry);
  client
    .consume({ queue })
    .pipe(handle(() => undefined))
    .subscribe();
  await client.send({ queue, body: 1 });
  await eventually(() => client.metrics.acked === 1);
  expect(await value(`instance_queue_handle_duration_seconds_count{queue="${queue}",settlement="ack"}`)).toBe(1);
});

test('queues with generated names share a series', async () => {
  register(client, registry);
  client
    .consume({ queue: '' })
    .pipe(handle(() => undefined))
    .subscribe();
  const { queueName } = await eventually(() => {
    const [consumer] = client.health.consumers;
    return consumer?.status === 'attached' ? { queueName: consumer.queue } : undefined;
  });
  await client.send({ exchange: '', routingKey: queueName, body: 1 });
  await eventually(() => client.metrics.acked === 1);
  expect(await value('instance_queue_acked_total{queue="amq.gen-*"}')).toBe(1);
});

test('each InstanceQueue counts its own messages; a second one in the same registry needs a prefix', async () => {
  const second = given.newClient();
  register(client, registry);
  expect(() => register(second, registry)).toThrow(OptionsError);
  register(second, registry, { prefix: 'second_' });
  await second.send({ queue, body: 1 });
  const labels = `{queue="${queue}",exchange="",outcome="confirmed"}`;
  expect(await value(`second_send_duration_seconds_count${labels}`)).toBe(1);
  expect(await value(`instance_queue_send_duration_seconds_count${labels}`)).toBeUndefined();
  expect(await value('second_sent_total')).toBe(1);
  expect(await value('instance_queue_sent_total')).toBe(0);
});

test('a prefix that cannot begin a metric name is refused', () => {
  expect(() => register(client, registry, { prefix: '1-bad' })).toThrow(/Expected `prefix` to be/);
});

test('what is returned stops it, and empties the registry', async () => {
  const unregister = register(client, registry);
  unregister();
  expect(await registry.metrics()).toBe('\n');
  register(client, registry);
});

describe('what the guide offers', () => {
  // Its types are those of an ES module; what `require` finds is CommonJS.
  const { parser } = createRequire(__filename)('@prometheus-io/lezer-promql') as { parser: LRParser };

  /** The metrics that an expression of PromQL names. Grafana's variables stand for durations and label values. */
  function metricsOf(expression: string): string[] {
    const text = expression.replaceAll('$__rate_interval', '5m');
    const metrics: string[] = [];
    parser.parse(text).iterate({
      enter: ({ name: node, from, to, type }) => {
        if (type.isError) throw new Error(`Not PromQL at ${from}: ${expression}`);
        if (node === 'Identifier') metrics.push(text.slice(from, to));
      },
    });
    return metrics;
  }
  const read = (path: string): string => readFileSync(join(root, 'demo/guides', path), 'utf8');

  interface Dashboard {
    readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
  }
  const dashboard = (JSON.parse(read('grafana-dashboard.json')) as Dashboard).panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => [`panel ${title}`, expr] as const),
  );
  interface Rules {
    readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
  }
  const [, fence = ''] = /^```yaml\n(.*?)^```/ms.exec(read('prometheus.md')) ?? [];
  const alerts = (parse(fence) as Rules).groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr }) => [`alert ${alert}`, expr] as const),
  );

  it.each([...dashboard, ...alerts])('%s names metrics that exist', async (_name, expression) => {
    register(client, registry);
    await client.send({ queue, body: 1 });
    const exposed = await registry.getMetricsAsJSON();
    const names = exposed.flatMap(({ name: metric, type }) =>
      String(type) === 'histogram' ? ['bucket', 'sum', 'count'].map((part) => `${metric}_${part}`) : [metric],
    );
    const named = metricsOf(expression);
    expect(named).not.toEqual([]);
    expect(names).toEqual(expect.arrayContaining(named));
  });

  it('the table of metrics is complete', async () => {
    register(client, registry);
    const listed = [...read('prometheus.md').matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map(([, metric]) => `instance_queue_${metric ?? ''}`),
    );
    const exposed = (await registry.getMetricsAsJSON()).map(({ name: metric }) => metric);
    expect(new Set(listed)).toEqual(new Set(exposed));
  });
});
