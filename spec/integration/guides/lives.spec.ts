import { createServer, type Server } from 'node:http';
import { handle, InstanceQueue } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually, until } from '../../support/waiting';

// Its queues have the names that the guide gives them.
const { url } = privateBroker();
let side: Bystander;
beforeEach(async () => {
  side = await Bystander.at(url);
});
afterEach(async () => {
  await closeAll();
  await side.close();
});

interface Order {
  readonly id: number;
}

test('the first example of the README says when it is connected, receives the order it sends, and closes on SIGINT', async () => {
  side.deletesQueue('orders');
  await side.deleteQueue('orders');
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
  const { shutDown } = await runRecipe<{
    shutDown(server: Server, queue: InstanceQueue, within: number): Promise<boolean>;
  }>('demo/guides/closing.md', 'export async function shutDown');
  const name = await side.declareQueue();
  const queue = closing(new InstanceQueue(url));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let end: (() => void) | undefined;
  const work = async (): Promise<void> => {
    await new Promise<void>((resolve) => (end = resolve));
    await queue.send({ queue: name, body: 'from the work' }, { timeout: 5000 });
  };
  collect(queue.consume({ queue: name, prefetch: 1 }).pipe(handle(work)));
  await side.put(name, 'work');
  await eventually(() => end !== undefined);
  const clean = shutDown(server, queue, 10_000);
  await until(queue.state$, ({ consumer }) => consumer.status === 'closing');
  end?.();
  expect(await clean).toBe(true);
  expect(server.listening).toBe(false);
  expect(await side.take(name)).toMatchObject({ body: 'from the work' });
  expect(await side.take(name)).toBeUndefined();
});

test('what failed for good waits where the guide says, and is put back as it says', async () => {
  for (const name of ['orders', 'orders.dead', 'orders.retry.30000']) {
    side.deletesQueue(name);
    await side.deleteQueue(name);
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
  const queue = closing(new InstanceQueue(url));
  await eventually(() => side.hasQueue('orders.dead'));
  await side.put('orders.dead', { id: 1 }, { id: 2 });
  await queue.connect();
  expect(await putBack(queue, 'orders.dead', 'orders', 2000)).toBe(2);
  await eventually(() => ids.length === 2);
  expect([...ids].sort()).toEqual([1, 2]);
  expect((await side.count('orders.dead')).ready).toBe(0);
});
