import { Registry } from 'prom-client';
import { InstanceQueue, handle } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

interface Recipe {
  register(queue: InstanceQueue, registry: Registry): void;
}

test('the recipe for Prometheus tells every counter and gauge, as they are when asked', async () => {
  const name = await closing(await Bystander.at(url)).declareQueue();
  const queue = closing(new InstanceQueue(url));
  const registry = new Registry();
  const { register } = await runRecipe<Recipe>('demo/guides/observing.md', 'prom-client');
  register(queue, registry);
  const value = async (metric: string): Promise<number | undefined> => {
    const line = (await registry.metrics()).split('\n').find((one) => one.startsWith(`${metric} `));
    return line === undefined ? undefined : Number(line.slice(metric.length + 1));
  };
  expect(await value('instance_queue_sent_total')).toBe(0);
  queue
    .consume({ queue: name })
    .pipe(handle(() => undefined))
    .subscribe();
  for (const body of [1, 2, 3]) await queue.send({ queue: name, body });
  await eventually(() => queue.metrics.acked === 3);
  expect(await value('instance_queue_sent_total')).toBe(3);
  expect(await value('instance_queue_acked_total')).toBe(3);
  expect(await value('instance_queue_in_flight')).toBe(0);
  expect(await value('instance_queue_outbox_queued')).toBe(0);
  expect(await value('instance_queue_up')).toBe(1);
  const { inFlight: _, outbox: __, ...counters } = queue.metrics;
  for (const [counter, count] of Object.entries(counters)) {
    const snake = counter.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    expect([counter, await value(`instance_queue_${snake}_total`)]).toEqual([counter, count]);
  }
});
