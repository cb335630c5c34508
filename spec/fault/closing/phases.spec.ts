import { Connection, InstanceQueue, handle, type CloseReport } from 'instance-queue';
import { freePort } from '../../../compose/ports';
import { closing } from '../../support/closing';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { fakeBrokerFixture } from '../../support/fixtures/fake-broker';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, rejection, until } from '../../support/waiting';

const given = proxiedFixture();
const { start } = fakeBrokerFixture();
const CLEAN: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** Expects close() to settle within `limit` ms (its deadline and the time of two handshakes), and gives the report. */
async function closedWithin(
  limit: number,
  closable: InstanceQueue | Connection,
  drainTimeout?: number,
): Promise<CloseReport> {
  const began = performance.now();
  const report = await closable.close(drainTimeout === undefined ? undefined : { drainTimeout });
  expect(performance.now() - began).toBeLessThan(limit);
  expect(closable.state).toEqual(
    closable instanceof Connection
      ? { status: 'closed' }
      : { producer: { status: 'closed' }, consumer: { status: 'closed' } },
  );
  return report;
}

describe('close() settles within its deadline, and reports exactly', () => {
  it('before it was ever used', async () => {
    expect(await closedWithin(900, given.newClient())).toEqual(CLEAN);
  });

  it('while a connection attempt hangs', async () => {
    const { fake, connection } = await start((client) => client.onMethod('protocol-header', 'ignore'));
    const refused = rejection(connection.connect());
    await eventually(() => fake.clients[0]?.received.length);
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
    await socketDestroyed(fake.clients[0]);
  });

  it('while the endpoint function hangs', async () => {
    const connection = new Connection({ url: () => new Promise<string>(() => undefined) });
    const refused = rejection(connection.connect());
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('between two connection attempts', async () => {
    const reconnect = { min: 60_000, max: 60_000, jitter: 0 };
    const connection = new Connection({ url: `amqp://127.0.0.1:${await freePort()}`, reconnect });
    const refused = rejection(connection.connect());
    await until(connection.state$, ({ status }) => status === 'reconnecting');
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it.each(['channel.open', 'queue.declare', 'basic.consume'])(
    'while a consumer waits for the answer to %s',
    async (step) => {
      const { fake } = await start((client) => client.onMethod(step, 'ignore'));
      const client = closing(new InstanceQueue(fake.url));
      const completed = new Promise<void>((resolve) => {
        client.consume({ queue: 'q' }).subscribe({ complete: resolve });
      });
      await eventually(() => fake.clients[0]?.received.some(({ name }) => name === step));
      expect(await closedWithin(4000, client)).toEqual(CLEAN);
      await completed;
      await socketDestroyed(fake.clients[0]);
    },
  );

  it('connected and idle', async () => {
    const client = given.newClient();
    await client.connect();
    expect(await closedWithin(4000, client)).toEqual(CLEAN);
  });

  it('if the broker does not answer the closing handshake', async () => {
    const { fake } = await start((client) => client.onMethod('connection.close', 'ignore'));
    const client = closing(new InstanceQueue(fake.url));
    await client.connect();
    expect(await closedWithin(3000, client, 100)).toEqual(CLEAN);
    for (const client of fake.clients) await socketDestroyed(client);
  });

  it('with a handler that never ends, whose signal is aborted', async () => {
    const client = given.newClient();
    const name = uniqueName();
    const aborted = new Promise<unknown>((resolve) => {
      const work = (_: unknown, { signal }: { signal: AbortSignal }): Promise<void> => {
        signal.addEventListener('abort', () => resolve(signal.reason));
        return new Promise(() => undefined);
      };
      client
        .consume({ queue: { name, expires: 5000 } })
        .pipe(handle(work))
        .subscribe();
    });
    await client.send({ queue: name, body: 'stuck' });
    await eventually(() => client.metrics.inFlight === 1);
    expect(await closedWithin(4000, client, 200)).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(await aborted).toBeInstanceOf(Error);
    expect(client.metrics).toMatchObject({ inFlight: 0, lost: 1 });
  });

  it('with an outbox that cannot be sent, and each send rejects', async () => {
    const client = closing(
      new InstanceQueue({ url: `amqp://127.0.0.1:${await freePort()}`, reconnect: { min: 10, max: 10 } }),
    );
    const sends = Array.from({ length: 25 }, (_, body) => rejection(client.send({ queue: 'q', body })));
    await until(client.state$, ({ producer }) => producer.status === 'reconnecting');
    expect(await closedWithin(4000, client, 150)).toEqual({ unsettled: 0, unconfirmed: 25 });
    for (const error of await Promise.all(sends)) {
      expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
    }
  });

  it('while the network swallows everything', async () => {
    const { newClient, proxy } = given;
    const client = newClient();
    await client.connect();
    await client.send({ queue: uniqueName(), body: 1 }, {}).catch(() => undefined);
    proxy.blackHole();
    const sent = rejection(client.send({ exchange: 'amq.direct', routingKey: 'x', body: 2, mandatory: false }));
    expect(await closedWithin(4000, client, 200)).toEqual({ unsettled: 0, unconfirmed: 1 });
    expect(await sent).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
  });

  it('while the network swallows everything, with running handlers and pending sends', async () => {
    const { newClient, proxy } = given;
    const client = newClient();
    const name = uniqueName();
    client
      .consume({ queue: { name, expires: 10_000 } })
      .pipe(handle(() => new Promise(() => undefined), { concurrency: 2 }))
      .subscribe();
    await Promise.all([1, 2, 3, 4, 5].map((body) => client.send({ queue: name, body })));
    await eventually(() => client.metrics.inFlight === 5);
    proxy.blackHole();
    const sent = [6, 7].map((body) => rejection(client.send({ queue: name, body })));
    // Two are being handled. The three that wait are released, which counts as settled.
    expect(await closedWithin(4000, client, 300)).toEqual({ unsettled: 2, unconfirmed: 2 });
    for (const error of await Promise.all(sent)) expect(error).toMatchObject({ code: 'PUBLISH_CLOSED' });
  });

  it('during a second connection attempt beside one that hangs', async () => {
    const { fake, connection } = await start((client) => client.onMethod('protocol-header', 'ignore'));
    const refused = rejection(connection.connect());
    await eventually(() => fake.clients.length > 1);
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
    for (const client of fake.clients) await socketDestroyed(client);
  });

  it('between two attempts to reopen a channel', async () => {
    const { fake } = await start((client) => {
      for (const step of ['basic.consume', 'confirm.select']) {
        client.onMethod(step, (_, channel) => client.closeChannel(channel, 504, 'CHANNEL_ERROR'));
      }
    });
    const client = closing(new InstanceQueue({ url: fake.url, reopen: { min: 60_000, max: 60_000, jitter: 0 } }));
    const completed = new Promise<void>((resolve) => {
      client.consume({ queue: 'q', declare: false }).subscribe({ complete: resolve });
    });
    const sent = rejection(client.send({ exchange: 'e', body: 1 }));
    await until(client.health$, ({ consumers }) => consumers.some((c) => 'retryIn' in c));
    await eventually(() => fake.clients.length === 2);
    expect(await closedWithin(4000, client, 200)).toEqual({ unsettled: 0, unconfirmed: 1 });
    expect(await sent).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
    await completed;
  });

  it('if a handler awaits it, which can only end after it', async () => {
    const client = given.newClient();
    const name = uniqueName();
    const reported = new Promise<CloseReport>((resolve, reject) => {
      const work = (): Promise<void> => client.close({ drainTimeout: 200 }).then(resolve, reject);
      client
        .consume({ queue: { name, expires: 5000 } })
        .pipe(handle(work))
        .subscribe();
    });
    await client.send({ queue: name, body: 'the end' });
    expect(await reported).toEqual({ unsettled: 1, unconfirmed: 0 });
  });

  it('if a subscriber calls it while a state is emitted', async () => {
    for (const when of ['connecting', 'connected', 'closing'] as const) {
      const connection = given.newConnection();
      connection.connect().catch(() => undefined);
      let report: Promise<CloseReport> | undefined;
      connection.state$.subscribe(({ status }) => {
        if (status === when) report ??= connection.close();
      });
      if (when === 'closing') void connection.close();
      await until(connection.state$, ({ status }) => status === 'closed');
      expect(await report).toEqual(CLEAN);
    }
  });

  it('if it is called several times, with one report', async () => {
    const client = given.newClient();
    await client.connect();
    const both = [client.close(), client.close({ drainTimeout: 1 })];
    expect(await Promise.all(both)).toEqual([CLEAN, CLEAN]);
    expect(await client.close()).toEqual(CLEAN);
  });

  it('while a lost connection is being replaced', async () => {
    const { newClient, proxy } = given;
    const client = newClient({ reconnect: { min: 50, max: 50 } });
    await client.connect();
    proxy.refuse();
    proxy.cut();
    await until(client.state$, ({ producer }) => producer.status === 'reconnecting' && producer.attempt > 1);
    expect(await closedWithin(900, client)).toEqual(CLEAN);
  });

  it('after sending what waited, if the connection comes back meanwhile', async () => {
    const { newClient, proxy } = given;
    const client = newClient({ reconnect: { min: 20, max: 20 } });
    const name = uniqueName();
    const spec = { name, expires: 10_000 };
    client
      .consume({ queue: spec })
      .pipe(handle(() => undefined))
      .subscribe();
    await client.send({ queue: name, body: 0 });
    proxy.refuse();
    proxy.cut();
    await until(client.state$, ({ producer }) => producer.status === 'reconnecting');
    const sent = client.send({ queue: name, body: 1 });
    const closed = client.close({ drainTimeout: 10_000 });
    await proxy.restore();
    expect(await sent).toMatchObject({ attempts: 1 });
    expect(await closed).toEqual(CLEAN);
  });
});
