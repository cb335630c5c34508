import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { handle, type InstanceQueue } from 'instance-queue';
import { closeAll, closing } from '../../support/closing';
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

/** The port of a server that exists until the test ends. */
function listening(take: (socket: Socket) => void): Promise<number> {
  const server = createTcpServer(take);
  closing({ close: () => server.close() });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

describe('the first example of the README', () => {
  const run = (at: string) => {
    const [lines, ends] = [[] as string[], [] as (() => void)[]];
    const print = (...words: unknown[]): void => void lines.push(words.join(' '));
    const declared = {
      console: { log: print, error: print },
      process: { once: (_signal: string, end: () => void) => ends.push(end) },
    };
    const done = runRecipe('README.md', 'process.once', { url: at, declared });
    const interrupt = (): void => ends.forEach((end) => end());
    return { lines, done, interrupt };
  };

  it('prints that it is connected and the order that it sends, and closes on SIGINT', async () => {
    given.bystander.deletesQueue('orders');
    await given.bystander.deleteQueue('orders');
    const { lines, done, interrupt } = run(url);
    await done;
    await eventually(() => lines.includes('order 1'));
    expect([...lines].sort()).toEqual(['connected', 'order 1']);
    interrupt();
    await eventually(() => lines.includes('closed'));
    expect(lines.slice(2)).toEqual(['closing', 'closed']);
  });

  it('prints one line while there is no broker, however often it tries', async () => {
    let dials = 0;
    const port = await listening((socket) => {
      dials++;
      socket.resetAndDestroy();
    });
    const { lines, done } = run(`amqp://127.0.0.1:${port}`);
    const settled = done.catch((error: unknown) => error);
    await eventually(() => dials > 6);
    expect(lines).toEqual([expect.stringMatching(/^reconnecting: Cannot connect to 127.0.0.1:/)]);
    await closeAll();
    expect(await settled).toMatchObject({ code: 'PUBLISH_CLOSED' });
  });
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
