import { Connection, Consumer, Producer, type ConnectionState } from 'instance-queue';
import { closing } from '../../support/closing';
import { consumingFixture } from '../../support/fixtures/consuming';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

const given = consumingFixture();
const { broker } = given;

const names = async (): Promise<string[]> => (await broker.connections()).map(({ name }) => name);

describe('connecting', () => {
  it('happens once, however often connect() is called', async () => {
    const name = uniqueName();
    const connection = given.newConnection({ name });
    await Promise.all([connection.connect(), connection.connect()]);
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect((await names()).filter((known) => known === name)).toHaveLength(1);
  });

  it('waits until it is needed, and an InstanceQueue has one connection to consume and one to produce', async () => {
    const name = uniqueName();
    const client = given.newClient({ name });
    expect(client.state).toEqual({ producer: { status: 'disconnected' }, consumer: { status: 'disconnected' } });
    client.consume({ queue: { name: '', exclusive: true } }).subscribe();
    await until(client.state$, ({ consumer }) => consumer.status === 'connected');
    expect(client.state.producer).toEqual({ status: 'disconnected' });
    expect((await names()).filter((known) => known.startsWith(name))).toEqual([`${name}.consumer`]);
    await client.connect();
    expect((await names()).filter((known) => known.startsWith(name)).sort()).toEqual([
      `${name}.consumer`,
      `${name}.producer`,
    ]);
  });

  it('shows the endpoint without the credentials, and increments the epoch', async () => {
    const connection = closing(new Connection(broker.url));
    const states: ConnectionState[] = [];
    connection.state$.subscribe((state) => states.push(state));
    await connection.connect();
    for (const epoch of [2, 3]) {
      connection.reconnect();
      await until(connection.state$, (state) => state.status === 'connected' && state.epoch === epoch);
    }
    const { host, password } = new URL(broker.url);
    const endpoints = states.flatMap((state) => (state.status === 'connected' ? [state.endpoint] : []));
    expect(endpoints).toEqual(Array(3).fill(`${host}/`));
    expect(JSON.stringify(states)).not.toContain(`:${password}@`);
    expect(states.every((state) => Object.isFrozen(state))).toBe(true);
  });

  it('negotiates the heartbeat of the URL, else that of the option', async () => {
    const { newConnection, proxy, log } = given;
    await newConnection({ heartbeat: 7 }).connect();
    await closing(new Connection({ url: `${proxy.url(broker.url)}?heartbeat=5`, heartbeat: 7 })).connect();
    await newConnection().connect();
    expect(log.of('connection.tune-ok').map(({ fields }) => fields.heartbeat)).toEqual([7, 5, 10]);
  });

  it('fails on a closed connection, whose state has no cause', async () => {
    const connection = new Connection(broker.url);
    await connection.connect();
    const reports = await Promise.all([connection.close(), connection.close()]);
    expect(reports).toEqual(Array(2).fill({ unsettled: 0, unconfirmed: 0 }));
    expect(connection.state).toEqual({ status: 'closed' });
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECTION_CLOSED', retryable: false });
  });

  it('fails if the connection is closed meanwhile', async () => {
    const connection = new Connection(broker.url);
    const refused = rejection(connection.connect());
    await connection.close();
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('is undone by asyncDispose: the broker no longer lists the connection', async () => {
    const name = uniqueName();
    await using connection = new Connection({ url: broker.url, name });
    await connection.connect();
    await connection[Symbol.asyncDispose]();
    expect(connection.state).toEqual({ status: 'closed' });
    await eventually(async () => !(await names()).includes(name));
  });

  it('does not count a close as a loss: without attempts left the connection closes without a cause', async () => {
    const connection = new Connection({ url: broker.url, reconnect: { attempts: 0 } });
    await connection.connect();
    const states: string[] = [];
    connection.state$.subscribe(({ status }) => states.push(status));
    await connection.close();
    expect(states).toEqual(['connected', 'closing', 'closed']);
    expect(connection.state).toEqual({ status: 'closed' });
  });

  it('disables the Nagle algorithm: a publish after an ack on one socket is not delayed', async () => {
    const name = uniqueName();
    const connection = closing(new Connection(broker.url));
    const consumer = new Consumer(connection, { queue: { name, exclusive: true }, prefetch: 1 });
    const producer = new Producer(connection);
    const durations: number[] = [];
    let round = 0;
    let began = 0;
    const next = async (): Promise<void> => {
      began = performance.now();
      await producer.send({ queue: name, body: (round += 1) });
    };
    const done = until(consumer.deliveries$, (delivery) => {
      delivery.ack();
      durations.push(performance.now() - began);
      if (round < 50) void next();
      return round === 50 && durations.length === 50;
    });
    await until(consumer.state$, ({ status }) => status === 'attached');
    await next();
    await done;
    const median = durations.sort((a, b) => a - b)[25]!;
    // With the Nagle algorithm it would take 40 ms.
    expect(median).toBeLessThan(35);
  });
});
