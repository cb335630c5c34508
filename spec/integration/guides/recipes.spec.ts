import type { Observable } from 'rxjs';
import { lastValueFrom, take } from 'rxjs';
import { type InstanceQueue, type Delivery, type Message } from 'instance-queue';
import { collect } from '../../support/collect';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { runRecipe } from '../../support/guides/run-recipe';
import { eventually, until } from '../../support/waiting';

const GUIDE = 'demo/guides/recipes.md';
const given = proxiedFixture();

test('the rate limit starts at most one message per interval, and loses none', async () => {
  const { bystander, newClient } = given;
  const { polite } = await runRecipe<{
    polite(deliveries$: Observable<Delivery<number>>, call: (id: number) => Promise<void>): Observable<unknown>;
  }>(GUIDE, 'polite');
  const name = await bystander.declareQueue();
  await bystander.put(name, 1, 2, 3, 4);
  const began: [number, number][] = [];
  const client = newClient();
  const call = (id: number): Promise<void> => Promise.resolve(void began.push([id, performance.now()]));
  await lastValueFrom(polite(client.consume<number>({ queue: name }), call).pipe(take(4)));
  expect(began.map(([id]) => id)).toEqual([1, 2, 3, 4]);
  // Timers may be a millisecond early.
  for (const [index, [, at]] of began.entries()) if (index > 0) expect(at - began[index - 1]![1]).toBeGreaterThan(95);
});

test('fan-in consumes several queues, and its concurrency bounds them together', async () => {
  const { bystander, newClient } = given;
  const { fanIn } = await runRecipe<{
    fanIn(queue: InstanceQueue, names: string[], work: (body: string) => Promise<void>): Observable<unknown>;
  }>(GUIDE, 'fanIn');
  const names = await Promise.all([bystander.declareQueue(), bystander.declareQueue(), bystander.declareQueue()]);
  for (const name of names) await bystander.put(name, `${name}-1`, `${name}-2`, `${name}-3`);
  const client = newClient();
  const [done, ends] = [new Set<string>(), [] as (() => void)[]];
  let [running, most] = [0, 0];
  const work = async (body: string): Promise<void> => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running--;
    done.add(body);
  };
  const { subscription } = collect(fanIn(client, names, work));
  await eventually(() => running === 4);
  await eventually(() => {
    ends.shift()?.();
    return done.size === 9;
  });
  expect(most).toBe(4);
  subscription.unsubscribe();
});

test('the circuit breaker stops receiving after three failures, and goes on later, with nothing lost', async () => {
  const { bystander, newClient } = given;
  const { payInvoices } = await runRecipe<{
    payInvoices(queue: InstanceQueue, name: string, pay: (id: number) => Promise<void>): Observable<unknown>;
  }>(GUIDE, 'payInvoices');
  const name = await bystander.declareQueue();
  await bystander.put(name, 1, 2);
  const client = newClient();
  let [calls, broken] = [0, true];
  const paid = new Set<number>();
  const pay = (id: number): Promise<void> => {
    calls++;
    if (broken) return Promise.reject(new Error('away'));
    paid.add(id);
    return Promise.resolve();
  };
  collect(payInvoices(client, name, pay));
  await until(client.health$, ({ consumers }) => consumers.some(({ status }) => status === 'paused'));
  expect(calls).toBe(3);
  expect(client.health.status).toBe('up');
  broken = false;
  await eventually(() => paid.size === 2);
});

test('the rows of a database outbox are sent once the broker is up, and removed when confirmed', async () => {
  const { bystander, newClient, proxy } = given;
  interface Row {
    readonly id: string;
    readonly queue: string;
    readonly body: unknown;
  }
  interface Table {
    next(): Promise<readonly Row[]>;
    remove(ids: readonly string[]): Promise<void>;
  }
  const { relay } = await runRecipe<{
    relay(queue: InstanceQueue, table: Table, every: number): Observable<never>;
  }>(GUIDE, 'relay');
  const name = await bystander.declareQueue();
  const rows = [1, 2, 3, 4, 5].map((body) => ({ id: `row-${String(body)}`, queue: name, body }));
  const table: Table = {
    next: () => Promise.resolve(rows.slice(0, 2)),
    remove: (ids) => {
      for (const id of ids)
        rows.splice(
          rows.findIndex((row) => row.id === id),
          1,
        );
      return Promise.resolve();
    },
  };
  proxy.refuse();
  const client = newClient({ reconnect: { min: 10, max: 50 }, producer: { timeout: 100 } });
  const { subscription } = collect(relay(client, table, 20));
  await eventually(() => client.metrics.timedOut > 0);
  expect(rows).toHaveLength(5);
  await proxy.restore();
  await eventually(() => rows.length === 0);
  subscription.unsubscribe();
  // A row whose confirm arrives after its timeout is sent again, so there may be more than five.
  const messages: Message<unknown>[] = [];
  await until(client.consume({ queue: name, noAck: true }), (message) => {
    messages.push(message);
    return new Set(messages.map(({ body }) => body)).size === 5;
  });
  expect(messages[0]?.properties.messageId).toMatch(/^row-/);
});
