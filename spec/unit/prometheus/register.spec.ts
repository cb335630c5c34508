import { OptionsError } from 'instance-queue';
import { register } from 'instance-queue/prometheus';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { Gauge, Registry } from 'prom-client';
import { closing } from '../../support/closing';
import { inVirtualTime } from '../../support/virtual-time';

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
