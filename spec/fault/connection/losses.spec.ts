import { Connection, type ConnectionState } from 'instance-queue';
import type { FaultProxy } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { until } from '../../support/waiting';

const given = proxiedFixture({ private: true });
const { broker } = given;
let name: string;
let connection: Connection;
let states: ConnectionState[];
let events: ConnectionState[];

/** Opens a connection, and records what follows. */
const open = async (url = broker.url, heartbeat = 10): Promise<void> => {
  name = uniqueName();
  connection = closing(new Connection({ url, name, heartbeat, reconnect: { min: 20, max: 100 } }));
  states = [];
  events = [];
  await connection.connect();
  connection.state$.subscribe((state) => states.push(state));
  connection.on('reconnecting', (state) => events.push(state));
  connection.on('connected', (state) => events.push(state));
};
const untilConnected = (epoch: number, limit = 20_000): Promise<ConnectionState> =>
  until(connection.state$, (state) => state.status === 'connected' && state.epoch === epoch, limit);

/** The causes of lost connections, without those of failed attempts. */
const losses = (): string[] =>
  states.flatMap((state) =>
    state.status === 'reconnecting' && state.cause.code === 'CONNECTION_LOST' ? [state.cause.message] : [],
  );

describe('a lost connection is reported once, by its first cause', () => {
  const faults: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
    [
      'the broker closes the connection',
      () => broker.closeConnection(name, 'for a test'),
      /CONNECTION_FORCED.*for a test/i,
    ],
    ['the broker is stopped', () => broker.stopApp().then(() => broker.startApp()), /CONNECTION_FORCED/i],
    ['the broker is killed', () => broker.kill().then(() => broker.start()), /Unexpected close|ECONNRESET/],
  ];
  it.each(faults)('%s', async (_, fault, sentence) => {
    await open();
    await fault();
    await untilConnected(2);
    expect(losses()).toHaveLength(1);
    expect(losses()[0]).toMatch(sentence);
    expect(states[1]).toMatchObject({ status: 'reconnecting', attempt: 1 });
    // Every state is emitted as an event, too: the same object, in the same order.
    expect(events).toEqual(states.slice(1));
    expect(events.every((event, i) => event === states[i + 1])).toBe(true);
  });
});

describe('a connection that breaks', () => {
  it('without a sign is detected by missing heartbeats, and replaced when the network is back', async () => {
    const { proxy } = given;
    await open(proxy.url(broker.url), 1);
    proxy.blackHole();
    const began = performance.now();
    const lost = await until(connection.state$, ({ status }) => status !== 'connected');
    expect(performance.now() - began).toBeLessThan(4000);
    expect(lost).toMatchObject({
      cause: { code: 'CONNECTION_LOST', message: expect.stringContaining('Heartbeat timeout') as string },
    });
    await proxy.restore({ reset: false });
    await untilConnected(2, 3000);
  });

  it.each([
    ['an RST', (proxy: FaultProxy) => proxy.cut()],
    ['a FIN', (proxy: FaultProxy) => proxy.finish()],
  ])('with %s is detected at once', async (_, fault) => {
    await open(given.proxy.url(broker.url));
    for (let epoch = 2; epoch < 6; epoch += 1) {
      const began = performance.now();
      fault(given.proxy);
      await untilConnected(epoch);
      // By heartbeats it would take 20 s.
      expect(performance.now() - began).toBeLessThan(5000);
    }
    expect(losses()).toHaveLength(4);
  });
});
