import { Connection, Consumer, InstanceQueue, Producer, type ConnectionState } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { FrameLog } from '../../support/frames/frames';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

const broker = sharedBroker();
afterEach(closeAll);

const names = async (): Promise<string[]> => (await broker.connections()).map(({ name }) => name);

describe('connecting', () => {
  it('happens once, however often it is asked for', async () => {
    const name = uniqueName();
    const connection = closing(new Connection({ url: broker.url, name }));
    await Promise.all([connection.connect(), connection.connect()]);
    await connection.connect();
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    expect((await names()).filter((known) => known === name)).toHaveLength(1);
  });

  it('waits until somebody asks, and each role of the front door has a connection of its own', async () => {
    const name = uniqueName();
    const queue = closing(new InstanceQueue({ url: broker.url, name }));
    expect(queue.state).toEqual({ producer: { status: 'disconnected' }, consumer: { status: 'disconnected' } });
    queue.consume({ queue: { name: '', exclusive: true } }).subscribe();
    await until(queue.state$, ({ consumer }) => consumer.status === 'connected');
    expect(queue.state.producer).toEqual({ status: 'disconnected' });
    expect((await names()).filter((known) => known.startsWith(name))).toEqual([`${name}.consumer`]);
    await queue.connect();
    expect((await names()).filter((known) => known.startsWith(name)).sort()).toEqual([
      `${name}.consumer`,
      `${name}.producer`,
    ]);
  });

  it('shows the endpoint without the credentials, and counts epochs by one', async () => {
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

  it('agrees on the heartbeat of the option, and on that of the URL before it', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const log = new FrameLog(proxy);
    try {
      await closing(new Connection({ url: proxy.url(broker.url), heartbeat: 7 })).connect();
      await closing(new Connection({ url: `${proxy.url(broker.url)}?heartbeat=5`, heartbeat: 7 })).connect();
      await closing(new Connection(proxy.url(broker.url))).connect();
      expect(log.of('connection.tune-ok').map(({ fields }) => fields.heartbeat)).toEqual([7, 5, 10]);
    } finally {
      log.stop();
      await closeAll();
      await proxy.close();
    }
  });

  it('is refused by a closed connection, which ends without a cause', async () => {
    const connection = new Connection(broker.url);
    await connection.connect();
    const reports = await Promise.all([connection.close(), connection.close()]);
    expect(reports).toEqual(Array(2).fill({ unsettled: 0, unconfirmed: 0 }));
    expect(connection.state).toEqual({ status: 'closed' });
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECTION_CLOSED', retryable: false });
  });

  it('is given up by whoever closes meanwhile', async () => {
    const connection = new Connection(broker.url);
    const refused = rejection(connection.connect());
    await connection.close();
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('ends at the broker too, with a name nobody sees any more', async () => {
    const name = uniqueName();
    await using connection = new Connection({ url: broker.url, name });
    await connection.connect();
    await connection[Symbol.asyncDispose]();
    expect(connection.state).toEqual({ status: 'closed' });
    await eventually(async () => !(await names()).includes(name));
  });

  it('closing is no loss: a connection without attempts left ends without a cause', async () => {
    const connection = new Connection({ url: broker.url, reconnect: { attempts: 0 } });
    await connection.connect();
    const states: string[] = [];
    connection.state$.subscribe(({ status }) => states.push(status));
    await connection.close();
    expect(states).toEqual(['connected', 'closing', 'closed']);
    expect(connection.state).toEqual({ status: 'closed' });
  });

  it('a publish behind an ack on the same socket is not held back by Nagle', async () => {
    const name = uniqueName();
    const connection = closing(new Connection(broker.url));
    const consumer = new Consumer(connection, { queue: { name, exclusive: true }, prefetch: 1 });
    const producer = new Producer(connection);
    const tookMs: number[] = [];
    let round = 0;
    let began = 0;
    const next = async (): Promise<void> => {
      began = performance.now();
      await producer.send({ queue: name, body: (round += 1) });
    };
    const done = until(consumer.deliveries$, (delivery) => {
      delivery.ack();
      tookMs.push(performance.now() - began);
      if (round < 50) void next();
      return round === 50 && tookMs.length === 50;
    });
    await until(consumer.state$, ({ status }) => status === 'attached');
    await next();
    await done;
    const median = tookMs.sort((a, b) => a - b)[25]!;
    // Nagle's delay is 40.
    expect(median).toBeLessThan(35);
  });
});
