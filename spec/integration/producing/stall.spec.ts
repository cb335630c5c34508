import { InstanceQueue } from 'instance-queue';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';

const { url } = sharedBroker();
afterEach(closeAll);

/** Returns when what was sent is on its way, and then lets nothing else of this process run for `ms`. */
async function standStill(ms: number): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('a process that stands still past a deadline reads what came meanwhile, before it gives up', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.queue();
  const queue = closing(new InstanceQueue(url));
  const confirmation = await queue.send({ queue: name, body: 'warm' });
  expect(confirmation.attempts).toBe(1);
  for (let round = 0; round < 5; round++) {
    const sent = queue.send({ queue: name, body: round }, { timeout: 100 });
    await standStill(150);
    expect(await sent).toMatchObject({ attempts: 1 });
  }
  expect(queue.metrics).toMatchObject({ confirmed: 6, timedOut: 0 });
});
