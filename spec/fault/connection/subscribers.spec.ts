import { Connection, InstanceQueue, type ConnectionState, type Role } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { closeAll, closing } from '../../support/closing';
import { until } from '../../support/waiting';

let fake: FakeBroker;
beforeEach(async () => {
  fake = await FakeBroker.start();
});
afterEach(async () => {
  await closeAll();
  await fake.close();
});

const isConnected =
  (epoch: number) =>
  (state: ConnectionState): boolean =>
    state.status === 'connected' && state.epoch === epoch;

describe('subscribers of a state', () => {
  it('that change it while being told do not reorder it for others', async () => {
    const connection = closing(new Connection({ url: fake.url, reconnect: { min: 1, max: 1 } }));
    connection.state$.subscribe((state) => {
      if (isConnected(1)(state)) connection.reconnect();
    });
    const seen: string[] = [];
    const heard: string[] = [];
    connection.state$.subscribe((state) =>
      seen.push(state.status === 'connected' ? `connected ${state.epoch}` : state.status),
    );
    connection.on('connected', ({ epoch }) => heard.push(`connected ${epoch}`));
    connection.on('reconnecting', ({ status }) => heard.push(status));
    await connection.connect().catch(() => undefined);
    await until(connection.state$, isConnected(2));
    const told = ['connected 1', 'reconnecting', 'connected 2'];
    expect(seen).toEqual(['disconnected', 'connecting', ...told]);
    expect(heard).toEqual(told);
    expect(connection.state).toMatchObject({ epoch: 2 });
  });

  it('that come late get the last one, and its end', async () => {
    const connection = new Connection(fake.url);
    await connection.connect();
    await connection.close();
    const told: unknown[] = [];
    connection.state$.subscribe({ next: (state) => told.push(state), complete: () => told.push('complete') });
    connection.blocked$.subscribe({ next: (reason) => told.push(reason), complete: () => told.push('complete') });
    expect(told).toEqual([{ status: 'closed' }, 'complete', undefined, 'complete']);
  });

  it('of the front door see the same: both states, then their end', async () => {
    const queue = new InstanceQueue(fake.url);
    await queue.connect();
    await queue.close();
    const told: unknown[] = [];
    queue.state$.subscribe({ next: (state) => told.push(state), complete: () => told.push('complete') });
    queue.health$.subscribe({ next: ({ status }) => told.push(status), complete: () => told.push('complete') });
    const closed = { status: 'closed' };
    expect(told).toEqual([{ producer: closed, consumer: closed }, 'complete', 'down', 'complete']);
  });

  it("hear every event with its role, and 'error' never", async () => {
    const queue = closing(new InstanceQueue({ url: fake.url, reconnect: { min: 1, max: 1 } }));
    const told: string[] = [];
    // There is no such event in the types; were it emitted, nobody listening would end the process.
    (queue as NodeJS.EventEmitter).on('error', () => told.push('error'));
    const tell = ({ status }: ConnectionState, role: Role): void => void told.push(`${role} ${status}`);
    queue.on('connecting', tell).on('connected', tell).on('reconnecting', tell).on('closing', tell).on('closed', tell);
    await queue.connect();
    for (const client of fake.clients) client.reset();
    await until(queue.state$, ({ producer, consumer }) => isConnected(2)(producer) && isConnected(2)(consumer));
    await queue.close();
    for (const role of ['producer', 'consumer']) {
      const its = told.filter((line) => line.startsWith(role)).map((line) => line.slice(role.length + 1));
      expect(its).toEqual(['connecting', 'connected', 'reconnecting', 'connected', 'closing', 'closed']);
    }
    expect(told).not.toContain('error');
  });
});
