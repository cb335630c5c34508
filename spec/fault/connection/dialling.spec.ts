import { Consumer } from 'instance-queue';
import { encodeMethod } from '../../support/frames/methods';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { eventually, rejection, until } from '../../support/waiting';

const { start } = fakeBrokerFixture();

const once = { initialAttempts: 1 };

describe('a connection attempt', () => {
  it.each([
    ['the TCP connection', 'protocol-header'],
    ['the login', 'connection.start-ok'],
    ['the virtual host', 'connection.open'],
  ])('that hangs after %s ends at `connectTimeout`, and destroys its socket', async (_, step) => {
    const { fake, connection } = await start((client) => client.onMethod(step, 'ignore'), {
      connectTimeout: 150,
      reconnect: once,
    });
    const began = performance.now();
    const error = await rejection(connection.connect());
    expect(performance.now() - began).toBeLessThan(1000);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
    expect((error as Error).message).toMatch(/no open connection within 150 ms \(`connectTimeout`\)/);
    for (const client of fake.clients) await socketDestroyed(client);
  });

  it('that is answered one byte at a time ends at `connectTimeout`, too', async () => {
    const greeting = encodeMethod('connection.start', 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: {},
      mechanisms: 'PLAIN',
      locales: 'en_US',
    });
    const { fake, connection } = await start(
      (client) => {
        client.onMethod('protocol-header', () => {
          let at = 0;
          const drip = setInterval(() => client.write(greeting.subarray(at, (at += 1))), 20);
          void client.closed.then(() => clearInterval(drip));
        });
      },
      { connectTimeout: 150, reconnect: once },
    );
    const began = performance.now();
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
    expect(performance.now() - began).toBeLessThan(1000);
    for (const client of fake.clients) await client.closed;
  });

  it('has one deadline for all its steps', async () => {
    const { connection } = await start(
      (client) => {
        // Each step alone is fast enough.
        for (const [step, reply, fields] of [
          ['connection.start-ok', 'connection.tune', { channelMax: 10, frameMax: 131_072, heartbeat: 0 }],
          ['connection.open', 'connection.open-ok', { knownHosts: '' }],
        ] as const) {
          client.onMethod(step, () => setTimeout(() => client.send(0, reply, fields), 200));
        }
      },
      { connectTimeout: 300, reconnect: once },
    );
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECT_FAILED' });
  });

  it('that has not opened after a second gets a rival: the first to open wins, the other is destroyed', async () => {
    const { fake, connection } = await start((client, number) => {
      if (number === 1) client.onMethod('protocol-header', 'ignore');
    });
    const began = performance.now();
    await connection.connect();
    const took = performance.now() - began;
    expect(took).toBeGreaterThan(900);
    expect(took).toBeLessThan(2500);
    await socketDestroyed(fake.clients[0]);
    expect(fake.clients).toHaveLength(2);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('gets a new rival every second, so that the end of a network outage is noticed within little more', async () => {
    // Connections made during the outage never get an answer, not even later.
    let outage = true;
    const { fake, connection } = await start((client) => {
      if (outage) client.onMethod('protocol-header', 'ignore');
    });
    connection.connect().catch(() => undefined);
    await eventually(() => fake.clients.length >= 4, 5000);
    outage = false;
    await until(connection.state$, ({ status }) => status === 'connected', 2000);
    // There is never more than the first one and one rival at a time.
    for (const rival of fake.clients.slice(1, 4)) await socketDestroyed(rival);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
  });

  it('that is lost as soon as it is open counts as failed: delays grow', async () => {
    const reconnect = { min: 4, factor: 2, jitter: 0, max: 1000 };
    const { connection } = await start(
      (client) =>
        client.onMethod('connection.open', () => {
          client.send(0, 'connection.open-ok', { knownHosts: '' });
          setImmediate(() => client.reset());
        }),
      { reconnect },
    );
    const delays: number[] = [];
    connection.on('reconnecting', ({ delay }) => delays.push(delay));
    connection.connect().catch(() => undefined);
    await eventually(() => delays.length >= 6);
    expect(delays.slice(0, 6)).toEqual([4, 8, 16, 32, 64, 128]);
  });
});

describe('reconnect()', () => {
  it('drops the connection and connects at once, with a cause in its events', async () => {
    const { fake, connection } = await start(undefined, { reconnect: { min: 60_000, max: 60_000, jitter: 0 } });
    const events: unknown[] = [];
    connection.on('reconnecting', ({ attempt, delay, cause }) =>
      events.push([attempt, delay, cause.code, cause.message]),
    );
    connection.reconnect();
    expect(connection.state).toEqual({ status: 'disconnected' });
    await connection.connect();
    connection.reconnect();
    expect(connection.state.status).not.toBe('connected');
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(events).toEqual([[1, 0, 'CONNECTION_LOST', 'Dropped by reconnect().']]);
    await socketDestroyed(fake.clients[0]);
  });

  it('is the cause in the state of detached consumers', async () => {
    const { connection } = await start(undefined, { reconnect: { min: 1, max: 1 } });
    const consumer = new Consumer(connection, { queue: 'any', declare: false });
    consumer.deliveries$.subscribe();
    await until(consumer.state$, ({ status }) => status === 'attached');
    const detached = until(consumer.state$, ({ status }) => status === 'detached');
    connection.reconnect();
    expect(await detached).toMatchObject({ cause: { code: 'CONNECTION_LOST', message: 'Dropped by reconnect().' } });
  });

  it('ends the delay between two attempts', async () => {
    let refusing = true;
    const reconnect = { min: 60_000, max: 60_000, jitter: 0 };
    const { connection } = await start(
      (client) => {
        if (refusing) client.onMethod('protocol-header', () => client.end());
      },
      { reconnect },
    );
    connection.connect().catch(() => undefined);
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    refusing = false;
    connection.reconnect();
    expect(await until(connection.state$, ({ status }) => status === 'connected')).toMatchObject({ epoch: 1 });
  });

  it('replaces a pending attempt', async () => {
    const { fake, connection } = await start((client, number) => {
      if (number === 1) client.onMethod('protocol-header', 'ignore');
    });
    const connected = connection.connect();
    await eventually(() => fake.clients[0]?.received.length);
    const began = performance.now();
    connection.reconnect();
    await connected;
    expect(performance.now() - began).toBeLessThan(900);
    await socketDestroyed(fake.clients[0]);
  });

  it('does nothing on a closed connection', async () => {
    const { fake, connection } = await start();
    await connection.connect();
    await connection.close();
    connection.reconnect();
    expect(connection.state).toEqual({ status: 'closed' });
    expect(fake.clients).toHaveLength(1);
  });
});
