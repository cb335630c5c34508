import { Connection, type ConnectionState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { privateBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { until } from '../../support/waiting';

const broker = privateBroker();
let name: string;
let connection: Connection;
let states: ConnectionState[];
let events: ConnectionState[];

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
const back = (epoch: number, limit = 20_000): Promise<ConnectionState> =>
  until(connection.state$, (state) => state.status === 'connected' && state.epoch === epoch, limit);

/** Told as a loss (the others are failed attempts to mend it). */
const losses = (): string[] =>
  states.flatMap((state) =>
    state.status === 'reconnecting' && state.cause.code === 'CONNECTION_LOST' ? [state.cause.message] : [],
  );

afterEach(closeAll);

describe('one loss is told once, by its first cause', () => {
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
    await back(2);
    expect(losses()).toHaveLength(1);
    expect(losses()[0]).toMatch(sentence);
    expect(states[1]).toMatchObject({ status: 'reconnecting', attempt: 1 });
    // Every state has been told as its event too, the same object in the same order.
    expect(events).toEqual(states.slice(1));
    expect(events.every((event, i) => event === states[i + 1])).toBe(true);
  });
});

describe('a peer that falls silent', () => {
  it('is noticed by missing heartbeats, and replaced when the way is open again', async () => {
    const proxy = await FaultProxy.before(broker.url);
    await open(proxy.url(broker.url), 1);
    proxy.blackHole();
    const began = performance.now();
    const lost = await until(connection.state$, ({ status }) => status !== 'connected');
    expect(performance.now() - began).toBeLessThan(4000);
    expect(lost).toMatchObject({
      cause: { code: 'CONNECTION_LOST', message: expect.stringContaining('Heartbeat timeout') as string },
    });
    await proxy.restore({ reset: false });
    await back(2, 3000);
    await closeAll();
    await proxy.close();
  });

  it.each([
    ['an RST', (proxy: FaultProxy) => proxy.cut()],
    ['a FIN', (proxy: FaultProxy) => proxy.finish()],
  ])('with %s is noticed at once', async (_, fault) => {
    const proxy = await FaultProxy.before(broker.url);
    await open(proxy.url(broker.url));
    for (let epoch = 2; epoch < 6; epoch += 1) {
      const began = performance.now();
      fault(proxy);
      await back(epoch);
      // By heartbeats it would take twenty seconds.
      expect(performance.now() - began).toBeLessThan(5000);
    }
    expect(losses()).toHaveLength(4);
    await closeAll();
    await proxy.close();
  });
});
