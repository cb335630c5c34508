import { Connection, InstanceQueue, handle, type CloseReport } from 'instance-queue';
import { FakeBroker } from '../../support/fake-broker/fake-broker';
import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { uniqueName } from '../../support/unique-name';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { eventually, rejection, until } from '../../support/waiting';

const broker = sharedBroker();
const CLEAN: CloseReport = { unsettled: 0, unconfirmed: 0 };

/** The report, and that it came within `limit` ms: the deadline given, and the time of two handshakes. */
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
  it('before anything was asked for', async () => {
    expect(await closedWithin(900, new InstanceQueue(broker.url))).toEqual(CLEAN);
  });

  it('while a dial hangs', async () => {
    const mute = await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore'));
    const connection = new Connection(mute.url);
    const refused = rejection(connection.connect());
    await eventually(() => mute.clients[0]?.received.length);
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
    await socketDestroyed(mute.clients[0]);
    await mute.close();
  });

  it('while the endpoint function hangs', async () => {
    const connection = new Connection({ url: () => new Promise<string>(() => undefined) });
    const refused = rejection(connection.connect());
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('between two attempts', async () => {
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
      const fake = await FakeBroker.start((client) => client.onMethod(step, 'ignore'));
      const queue = new InstanceQueue(fake.url);
      const completed = new Promise<void>((resolve) => {
        queue.consume({ queue: 'q' }).subscribe({ complete: resolve });
      });
      await eventually(() => fake.clients[0]?.received.some(({ name }) => name === step));
      expect(await closedWithin(4000, queue)).toEqual(CLEAN);
      await completed;
      await socketDestroyed(fake.clients[0]);
      await fake.close();
    },
  );

  it('connected and idle', async () => {
    const queue = new InstanceQueue(broker.url);
    await queue.connect();
    expect(await closedWithin(4000, queue)).toEqual(CLEAN);
  });

  it('when the broker does not answer the closing handshake', async () => {
    const fake = await FakeBroker.start((client) => client.onMethod('connection.close', 'ignore'));
    const queue = new InstanceQueue(fake.url);
    await queue.connect();
    expect(await closedWithin(3000, queue, 100)).toEqual(CLEAN);
    for (const client of fake.clients) await socketDestroyed(client);
    await fake.close();
  });

  it('with a handler that never ends: it is left behind, and its signal is aborted', async () => {
    const queue = new InstanceQueue(broker.url);
    const name = uniqueName();
    const aborted = new Promise<unknown>((resolve) => {
      const work = (_: unknown, { signal }: { signal: AbortSignal }): Promise<void> => {
        signal.addEventListener('abort', () => resolve(signal.reason));
        return new Promise(() => undefined);
      };
      queue
        .consume({ queue: { name, expires: 5000 } })
        .pipe(handle(work))
        .subscribe();
    });
    await queue.send({ queue: name, body: 'stuck' });
    await eventually(() => queue.metrics.inFlight === 1);
    expect(await closedWithin(4000, queue, 200)).toEqual({ unsettled: 1, unconfirmed: 0 });
    expect(await aborted).toBeInstanceOf(Error);
    expect(queue.metrics).toMatchObject({ inFlight: 0, lost: 1 });
  });

  it('with an outbox that cannot be sent: each send is told', async () => {
    const queue = new InstanceQueue({ url: `amqp://127.0.0.1:${await freePort()}`, reconnect: { min: 10, max: 10 } });
    const sends = Array.from({ length: 25 }, (_, body) => rejection(queue.send({ queue: 'q', body })));
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting');
    expect(await closedWithin(4000, queue, 150)).toEqual({ unsettled: 0, unconfirmed: 25 });
    for (const error of await Promise.all(sends)) {
      expect(error).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
    }
  });

  it('in a black hole', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const queue = new InstanceQueue(proxy.url(broker.url));
    await queue.connect();
    await queue.send({ queue: uniqueName(), body: 1 }, {}).catch(() => undefined);
    proxy.blackHole();
    const sent = rejection(queue.send({ exchange: 'amq.direct', routingKey: 'x', body: 2, mandatory: false }));
    expect(await closedWithin(4000, queue, 200)).toEqual({ unsettled: 0, unconfirmed: 1 });
    expect(await sent).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: true });
    await proxy.close();
  });

  it('in a black hole, with a handler at work: both are told, however much was in hand', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const queue = new InstanceQueue(proxy.url(broker.url));
    const name = uniqueName();
    queue
      .consume({ queue: { name, expires: 10_000 } })
      .pipe(handle(() => new Promise(() => undefined), { concurrency: 2 }))
      .subscribe();
    await Promise.all([1, 2, 3, 4, 5].map((body) => queue.send({ queue: name, body })));
    await eventually(() => queue.metrics.inFlight === 5);
    proxy.blackHole();
    const sent = [6, 7].map((body) => rejection(queue.send({ queue: name, body })));
    // Two are worked on; the three that wait are released, which is as good as settled here.
    expect(await closedWithin(4000, queue, 300)).toEqual({ unsettled: 2, unconfirmed: 2 });
    for (const error of await Promise.all(sent)) expect(error).toMatchObject({ code: 'PUBLISH_CLOSED' });
    await proxy.close();
  });

  it('while a second dial goes on beside one that hangs', async () => {
    const mute = await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore'));
    const connection = new Connection(mute.url);
    const refused = rejection(connection.connect());
    await eventually(() => mute.clients.length > 1);
    expect(await closedWithin(900, connection)).toEqual(CLEAN);
    expect(await refused).toMatchObject({ code: 'CONNECTION_CLOSED' });
    for (const client of mute.clients) await socketDestroyed(client);
    await mute.close();
  });

  it('between two attempts to open a channel again', async () => {
    const fake = await FakeBroker.start((client) => {
      for (const step of ['basic.consume', 'confirm.select']) {
        client.onMethod(step, (_, channel) => client.closeChannel(channel, 504, 'CHANNEL_ERROR'));
      }
    });
    const queue = new InstanceQueue({ url: fake.url, reopen: { min: 60_000, max: 60_000, jitter: 0 } });
    const completed = new Promise<void>((resolve) => {
      queue.consume({ queue: 'q', declare: false }).subscribe({ complete: resolve });
    });
    const sent = rejection(queue.send({ exchange: 'e', body: 1 }));
    await until(queue.health$, ({ consumers }) => consumers.some((c) => 'retryIn' in c));
    await eventually(() => fake.clients.length === 2);
    expect(await closedWithin(4000, queue, 200)).toEqual({ unsettled: 0, unconfirmed: 1 });
    expect(await sent).toMatchObject({ code: 'PUBLISH_CLOSED', maybeDelivered: false });
    await completed;
    await fake.close();
  });

  it('awaited by a handler itself, which can only end behind it', async () => {
    const queue = new InstanceQueue(broker.url);
    const name = uniqueName();
    const reported = new Promise<CloseReport>((resolve, reject) => {
      const work = (): Promise<void> => queue.close({ drainTimeout: 200 }).then(resolve, reject);
      queue
        .consume({ queue: { name, expires: 5000 } })
        .pipe(handle(work))
        .subscribe();
    });
    await queue.send({ queue: name, body: 'the end' });
    expect(await reported).toEqual({ unsettled: 1, unconfirmed: 0 });
  });

  it('from inside a subscriber of the state, whichever state it is told of', async () => {
    for (const when of ['connecting', 'connected', 'closing'] as const) {
      const connection = new Connection(broker.url);
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

  it('twice, and reconnect() meanwhile: one close, one report', async () => {
    const queue = new InstanceQueue(broker.url);
    await queue.connect();
    const both = [queue.close(), queue.close({ drainTimeout: 1 })];
    expect(await Promise.all(both)).toEqual([CLEAN, CLEAN]);
    expect(await queue.close()).toEqual(CLEAN);
  });

  it('while a lost connection is being made again', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const queue = new InstanceQueue({ url: proxy.url(broker.url), reconnect: { min: 50, max: 50 } });
    await queue.connect();
    proxy.refuse();
    proxy.cut();
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting' && producer.attempt > 1);
    expect(await closedWithin(900, queue)).toEqual(CLEAN);
    await proxy.close();
  });

  it('what came back while closing is still flushed', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const queue = new InstanceQueue({ url: proxy.url(broker.url), reconnect: { min: 20, max: 20 } });
    const name = uniqueName();
    const spec = { name, expires: 10_000 };
    queue
      .consume({ queue: spec })
      .pipe(handle(() => undefined))
      .subscribe();
    await queue.send({ queue: name, body: 0 });
    proxy.refuse();
    proxy.cut();
    await until(queue.state$, ({ producer }) => producer.status === 'reconnecting');
    const sent = queue.send({ queue: name, body: 1 });
    const closed = queue.close({ drainTimeout: 10_000 });
    await proxy.restore();
    expect(await sent).toMatchObject({ attempts: 1 });
    expect(await closed).toEqual(CLEAN);
    await proxy.close();
  });
});
