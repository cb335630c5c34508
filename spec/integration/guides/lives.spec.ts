import { createServer, type Server } from 'node:http';
import { handle, type InstanceQueue } from 'instance-queue';
import { collect } from '../../support/collect';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually, until } from '../../support/waiting';

// Its queues have the names that the guide gives them.
const given = rabbitmqFixture({ private: true });
const { url } = given;

interface Order {
  readonly id: number;
}

test('the first example of the README says when it is connected, receives the order it sends, and closes on SIGINT', async () => {
  given.bystander.deletesQueue('orders');
  await given.bystander.deleteQueue('orders');
  const lines: unknown[][] = [];
  const ends: (() => void)[] = [];
  const fakes = {
    console: { log: (...line: unknown[]) => lines.push(line) },
    process: { once: (_signal: string, end: () => void) => ends.push(end) },
  };
  await runRecipe('README.md', 'process.once', { url, declared: fakes });
  await eventually(() => lines.some(([what, id]) => what === 'order' && id === 1));
  expect(lines).toContainEqual(['connected']);
  for (const end of ends) end();
  await eventually(() => lines.some(([status]) => status === 'closed'));
  // Each status is printed once.
  expect(new Set(lines.map((line) => line.join(' '))).size).toBe(lines.length);
});

test('shutting down as the guide does lets work end, settles it, and tells that nothing is left', async () => {
  const { bystander, newClient } = given;
  const { shutDown } = await runRecipe<{
    shutDown(server: Server, queue: InstanceQueue, within: number): Promise<boolean>;
  }>('demo/guides/closing.md', 'export async function shutDown');
  const name = await bystander.declareQueue();
  const queue = newClient();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let end: (() => void) | undefined;
  const work = async (): Promise<void> => {
    await new Promise<void>((resolve) => (end = resolve));
    await queue.send({ queue: name, body: 'from the work' }, { timeout: 5000 });
  };
  collect(queue.consume({ queue: name, prefetch: 1 }).pipe(handle(work)));
  await bystander.put(name, 'work');
  await eventually(() => end !== undefined);
  const clean = shutDown(server, queue, 10_000);
  await until(queue.state$, ({ consumer }) => consumer.status === 'closing');
  end?.();
  expect(await clean).toBe(true);
  expect(server.listening).toBe(false);
  expect(await bystander.take(name)).toMatchObject({ body: 'from the work' });
  expect(await bystander.take(name)).toBeUndefined();
});

test('what failed for good waits where the guide says, and is put back as it says', async () => {
  const { bystander, newClient } = given;
  for (const name of ['orders', 'orders.dead', 'orders.retry.30000']) {
    bystander.deletesQueue(name);
    await bystander.deleteQueue(name);
  }
  const ids: number[] = [];
  const charge = (order: Order): Promise<void> => {
    ids.push(order.id);
    return Promise.resolve();
  };
  const fence = { url, declared: { charge } };
  await runRecipe('demo/guides/retrying.md', 'messageTtl: 14', fence);
  const { putBack } = await runRecipe<{
    putBack(queue: InstanceQueue, from: string, to: string, quiet: number): Promise<number>;
  }>('demo/guides/retrying.md', 'export async function putBack');
  const queue = newClient();
  await eventually(() => bystander.hasQueue('orders.dead'));
  await bystander.put('orders.dead', { id: 1 }, { id: 2 });
  await queue.connect();
  expect(await putBack(queue, 'orders.dead', 'orders', 2000)).toBe(2);
  await eventually(() => ids.length === 2);
  expect([...ids].sort()).toEqual([1, 2]);
  expect((await bystander.count('orders.dead')).ready).toBe(0);
});
