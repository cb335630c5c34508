import { InstanceQueue, type ConnectionState, type Role } from 'instance-queue';
import { closing } from '../../support/closing';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { until } from '../../support/waiting';

const { start } = fakeBrokerFixture();

const isConnected =
  (epoch: number) =>
  (state: ConnectionState): boolean =>
    state.status === 'connected' && state.epoch === epoch;

describe('subscribers of a state', () => {
  it('that change the state while it is emitted do not change the order for others', async () => {
    const { connection } = await start();
    connection.state$.subscribe((state) => {
      if (isConnected(1)(state)) connection.reconnect();
    });
    const seen: string[] = [];
    const events: string[] = [];
    connection.state$.subscribe((state) =>
      seen.push(state.status === 'connected' ? `connected ${state.epoch}` : state.status),
    );
    connection.on('connected', ({ epoch }) => events.push(`connected ${epoch}`));
    connection.on('reconnecting', ({ status }) => events.push(status));
    await connection.connect().catch(() => undefined);
    await until(connection.state$, isConnected(2));
    const expected = ['connected 1', 'reconnecting', 'connected 2'];
    expect(seen).toEqual(['disconnected', 'connecting', ...expected]);
    expect(events).toEqual(expected);
    expect(connection.state).toMatchObject({ epoch: 2 });
  });

  it('that subscribe after the end get the last state, and the completion', async () => {
    const { connection } = await start();
    await connection.connect();
    await connection.close();
    const emitted: unknown[] = [];
    connection.state$.subscribe({ next: (state) => emitted.push(state), complete: () => emitted.push('complete') });
    connection.blocked$.subscribe({ next: (reason) => emitted.push(reason), complete: () => emitted.push('complete') });
    expect(emitted).toEqual([{ status: 'closed' }, 'complete', undefined, 'complete']);
  });

  it('of an InstanceQueue that subscribe after the end get both states, and the completion', async () => {
    const { fake } = await start();
    const client = closing(new InstanceQueue(fake.url));
    await client.connect();
    await client.close();
    const emitted: unknown[] = [];
    client.state$.subscribe({ next: (state) => emitted.push(state), complete: () => emitted.push('complete') });
    client.health$.subscribe({ next: ({ status }) => emitted.push(status), complete: () => emitted.push('complete') });
    const closed = { status: 'closed' };
    expect(emitted).toEqual([{ producer: closed, consumer: closed }, 'complete', 'down', 'complete']);
  });

  it("of events get each with its role, and 'error' is never emitted", async () => {
    const { fake } = await start();
    const client = closing(new InstanceQueue({ url: fake.url, reconnect: { min: 1, max: 1 } }));
    const events: string[] = [];
    // The types have no such event. If it were emitted without a listener, it would end the process.
    (client as NodeJS.EventEmitter).on('error', () => events.push('error'));
    const record = ({ status }: ConnectionState, role: Role): void => void events.push(`${role} ${status}`);
    client
      .on('connecting', record)
      .on('connected', record)
      .on('reconnecting', record)
      .on('closing', record)
      .on('closed', record);
    await client.connect();
    for (const client of fake.clients) client.reset();
    await until(client.state$, ({ producer, consumer }) => isConnected(2)(producer) && isConnected(2)(consumer));
    await client.close();
    for (const role of ['producer', 'consumer']) {
      const its = events.filter((line) => line.startsWith(role)).map((line) => line.slice(role.length + 1));
      expect(its).toEqual(['connecting', 'connected', 'reconnecting', 'connected', 'closing', 'closed']);
    }
    expect(events).not.toContain('error');
  });
});
