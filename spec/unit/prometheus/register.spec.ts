import { OptionsError } from 'instance-queue';
import { register } from 'instance-queue/prometheus';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { Gauge, Registry } from 'prom-client';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const namesIn = (registry: Registry): string[] => registry.getMetricsAsArray().map(({ name }) => name);
const newQueue = (): FakeInstanceQueue => closing(new FakeInstanceQueue());

test.each(['instance_queue_sent_total', 'instance_queue_connected', 'instance_queue_handle_duration_seconds'])(
  'nothing is registered if the registry already holds a metric named %s',
  (name) => {
    const registry = new Registry();
    new Gauge({ name, help: 'Of the app.', registers: [registry] });
    const refused = new RegExp(`already holds \`${name}\`.*\`prefix\``);
    expect(() => register(newQueue(), registry)).toThrow(OptionsError);
    expect(() => register(newQueue(), registry)).toThrow(refused);
    expect(namesIn(registry)).toEqual([name]);
    register(newQueue(), registry, { prefix: 'other_' });
  },
);

test('several registries can have the metrics of one InstanceQueue', async () => {
  const queue = newQueue();
  const registries = [new Registry(), new Registry()];
  for (const registry of registries) register(queue, registry);
  const [one, other] = await Promise.all(registries.map((registry) => registry.metrics()));
  expect(one).toContain('instance_queue_sent_total 0');
  expect(other).toBe(one);
});

test('what is returned removes its own metrics alone, however often it is called', () => {
  const queue = newQueue();
  const registry = new Registry();
  const stop = register(queue, registry);
  stop();
  expect(namesIn(registry)).toEqual([]);
  register(queue, registry);
  const present = namesIn(registry);
  stop();
  expect(namesIn(registry)).toEqual(present);
});

test.each<[string, () => unknown, string]>([
  ['no registry', () => register(newQueue(), {} as Registry), 'Expected `registry` to be a Registry of prom-client'],
  [
    'none at all',
    () => register(newQueue(), undefined as never),
    'Expected `registry` to be a Registry of prom-client',
  ],
  ...['1a', 'a-b', '', 7].map((prefix): [string, () => unknown, string] => [
    `the prefix ${JSON.stringify(prefix)}`,
    () => register(newQueue(), new Registry(), { prefix: prefix as string }),
    'Expected `prefix` to be the beginning of a metric name: letters, digits, `_` and `:`, no digit first',
  ]),
  [
    'an option that there is not',
    () => register(newQueue(), new Registry(), { prefiks: 'a_' } as never),
    'Unknown option `prefiks` for register(). Did you mean `prefix`?',
  ],
])('%s is refused', (_, made, words) => {
  expect(made).toThrow(OptionsError);
  expect(made).toThrow(words);
});

test('what was counted before stands under no name, and only as long as there is any', async () => {
  const queue = newQueue();
  const registry = new Registry();
  register(queue, registry);
  const delivered = async (): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line.startsWith('instance_queue_delivered_total'));
  expect(await delivered()).toEqual(['instance_queue_delivered_total{queue=""} 0']);
  queue.consume({ queue: 'orders', noAck: true }).subscribe();
  await queue.send({ queue: 'orders', body: 1 });
  await later(10);
  expect(await delivered()).toEqual(['instance_queue_delivered_total{queue="orders"} 1']);
});

test('the gauge of blocking is 1 while the broker blocks', async () => {
  const queue = newQueue();
  const registry = new Registry();
  register(queue, registry);
  await queue.send({ queue: 'orders', body: 1 });
  const values: unknown[] = [];
  const look = async (): Promise<void> => {
    await later(10);
    values.push(/^instance_queue_blocked (\d)$/m.exec(await registry.metrics())?.[1]);
  };
  await look();
  queue.broker.block();
  // The broker blocks who publishes.
  const sent = queue.send({ queue: 'orders', body: 2 });
  await look();
  queue.broker.unblock();
  await look();
  await sent;
  expect(values).toEqual(['0', '1', '0']);
});
