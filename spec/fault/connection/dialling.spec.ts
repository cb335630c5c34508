import { Connection, Consumer } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { encodeMethod } from '../../support/frames/methods';
import { closeAll, closing } from '../../support/closing';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { eventually, rejection, until } from '../../support/waiting';

afterEach(closeAll);

const once = { initialAttempts: 1 };

describe('a dial', () => {
  it.each([
    ['TCP, and nothing after it', 'protocol-header'],
    ['the login', 'connection.start-ok'],
    ['the virtual host', 'connection.open'],
  ])('that hangs behind %s ends at its deadline, its socket destroyed', async (_, step) => {
    const fake = await FakeBroker.start((client) => client.onMethod(step, 'ignore'));
    const connection = closing(new Connection({ url: fake.url, connectTimeout: 150, reconnect: once }));
    const began = performance.now();
    const error = await rejection(connection.connect());
    expect(performance.now() - began).toBeLessThan(1000);
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
    expect((error as Error).message).toMatch(/no open connection within 150 ms \(`connectTimeout`\)/);
    for (const client of fake.clients) await socketDestroyed(client);
    await fake.close();
  });

  it('that is answered an octet at a time ends at its deadline, too', async () => {
    const greeting = encodeMethod('connection.start', 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: {},
      mechanisms: 'PLAIN',
      locales: 'en_US',
    });
    const fake = await FakeBroker.start((client) => {
      client.onMethod('protocol-header', () => {
        let at = 0;
        const drip = setInterval(() => client.write(greeting.subarray(at, (at += 1))), 20);
        void client.closed.then(() => clearInterval(drip));
      });
    });
    const connection = closing(new Connection({ url: fake.url, connectTimeout: 150, reconnect: once }));
    const began = performance.now();
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
    expect(performance.now() - began).toBeLessThan(1000);
    for (const client of fake.clients) await client.closed;
    await fake.close();
  });

  it('has one deadline over all its steps', async () => {
    const fake = await FakeBroker.start((client) => {
      // Each step alone is quick enough.
      for (const [step, reply, fields] of [
        ['connection.start-ok', 'connection.tune', { channelMax: 10, frameMax: 131_072, heartbeat: 0 }],
        ['connection.open', 'connection.open-ok', { knownHosts: '' }],
      ] as const) {
        client.onMethod(step, () => setTimeout(() => client.send(0, reply, fields), 200));
      }
    });
    const connection = closing(new Connection({ url: fake.url, connectTimeout: 300, reconnect: once }));
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECT_FAILED' });
    await fake.close();
  });

  it('that has not opened after a second gets a rival; the first to open wins, the loser is destroyed', async () => {
    const fake = await FakeBroker.start((client, number) => {
      if (number === 1) client.onMethod('protocol-header', 'ignore');
    });
    const connection = closing(new Connection(fake.url));
    const began = performance.now();
    await connection.connect();
    const took = performance.now() - began;
    expect(took).toBeGreaterThan(900);
    expect(took).toBeLessThan(2500);
    await socketDestroyed(fake.clients[0]);
    expect(fake.clients).toHaveLength(2);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    await closeAll();
    await fake.close();
  });

  it('has a fresh rival every second, so that a black hole delays the way back by little more, however long it lasted', async () => {
    // Whoever dials while the network swallows everything gets no answer, then or later.
    let hole = true;
    const fake = await FakeBroker.start((client) => {
      if (hole) client.onMethod('protocol-header', 'ignore');
    });
    const connection = closing(new Connection(fake.url));
    connection.connect().catch(() => undefined);
    await eventually(() => fake.clients.length >= 4, 5000);
    hole = false;
    await until(connection.state$, ({ status }) => status === 'connected', 2000);
    // Never more than the first one and a rival at a time.
    for (const rival of fake.clients.slice(1, 4)) await socketDestroyed(rival);
    expect(connection.state).toMatchObject({ status: 'connected', epoch: 1 });
    await closeAll();
    await fake.close();
  });

  it('that fails as soon as it is open counts as failing: delays grow', async () => {
    const fake = await FakeBroker.start((client) =>
      client.onMethod('connection.open', () => {
        client.send(0, 'connection.open-ok', { knownHosts: '' });
        setImmediate(() => client.reset());
      }),
    );
    const reconnect = { min: 4, factor: 2, jitter: 0, max: 1000 };
    const connection = closing(new Connection({ url: fake.url, reconnect }));
    const delays: number[] = [];
    connection.on('reconnecting', ({ delay }) => delays.push(delay));
    connection.connect().catch(() => undefined);
    await eventually(() => delays.length >= 6);
    expect(delays.slice(0, 6)).toEqual([4, 8, 16, 32, 64, 128]);
    await closeAll();
    await fake.close();
  });
});

describe('reconnect()', () => {
  it('drops the link and dials at once, with the cause told to whoever asks', async () => {
    const fake = await FakeBroker.start();
    const connection = closing(new Connection({ url: fake.url, reconnect: { min: 60_000, max: 60_000, jitter: 0 } }));
    const told: unknown[] = [];
    connection.on('reconnecting', ({ attempt, delay, cause }) =>
      told.push([attempt, delay, cause.code, cause.message]),
    );
    connection.reconnect();
    expect(connection.state).toEqual({ status: 'disconnected' });
    await connection.connect();
    connection.reconnect();
    expect(connection.state.status).not.toBe('connected');
    await until(connection.state$, (state) => state.status === 'connected' && state.epoch === 2);
    expect(told).toEqual([[1, 0, 'CONNECTION_LOST', 'Dropped by reconnect().']]);
    await socketDestroyed(fake.clients[0]);
    await closeAll();
    await fake.close();
  });

  it('is why its consumers are detached', async () => {
    const fake = await FakeBroker.start();
    const connection = closing(new Connection({ url: fake.url, reconnect: { min: 1, max: 1 } }));
    const consumer = new Consumer(connection, { queue: 'any', declare: false });
    consumer.deliveries$.subscribe();
    await until(consumer.state$, ({ status }) => status === 'attached');
    const detached = until(consumer.state$, ({ status }) => status === 'detached');
    connection.reconnect();
    expect(await detached).toMatchObject({ cause: { code: 'CONNECTION_LOST', message: 'Dropped by reconnect().' } });
    await closeAll();
    await fake.close();
  });

  it('ends a wait between two attempts', async () => {
    let deaf = true;
    const fake = await FakeBroker.start((client) => {
      if (deaf) client.onMethod('protocol-header', () => client.end());
    });
    const reconnect = { min: 60_000, max: 60_000, jitter: 0 };
    const connection = closing(new Connection({ url: fake.url, reconnect }));
    connection.connect().catch(() => undefined);
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    deaf = false;
    connection.reconnect();
    expect(await until(connection.state$, ({ status }) => status === 'connected')).toMatchObject({ epoch: 1 });
    await closeAll();
    await fake.close();
  });

  it('replaces a dial under way', async () => {
    const fake = await FakeBroker.start((client, number) => {
      if (number === 1) client.onMethod('protocol-header', 'ignore');
    });
    const connection = closing(new Connection(fake.url));
    const connected = connection.connect();
    await eventually(() => fake.clients[0]?.received.length);
    const began = performance.now();
    connection.reconnect();
    await connected;
    expect(performance.now() - began).toBeLessThan(900);
    await socketDestroyed(fake.clients[0]);
    await closeAll();
    await fake.close();
  });

  it('does nothing on a closed connection', async () => {
    const fake = await FakeBroker.start();
    const connection = new Connection(fake.url);
    await connection.connect();
    await connection.close();
    connection.reconnect();
    expect(connection.state).toEqual({ status: 'closed' });
    expect(fake.clients).toHaveLength(1);
    await fake.close();
  });
});
