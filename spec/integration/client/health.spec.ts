import { InstanceQueue, handle, type Message } from 'instance-queue';
import { freePort } from '../../../compose/ports';
import { closing } from '../../support/closing';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const given = proxiedFixture();
const { broker } = given;

const statusIs =
  (wanted: string) =>
  ({ status }: { status: string }): boolean =>
    status === wanted;

describe('health', () => {
  it('is down before the client is used, and up when everything in use is up', async () => {
    const client = given.newClient();
    expect(client.health).toMatchObject({
      status: 'down',
      consumers: [],
      outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
    });
    const name = uniqueName();
    client.consume({ queue: { name, expires: 5000 } }).subscribe();
    await until(client.health$, statusIs('up'));
    expect(client.health.connections.producer.status).toBe('disconnected');
    expect(client.health.consumers).toEqual([
      expect.objectContaining({ status: 'attached', queue: name, queueName: name }),
    ]);
    expect(Object.isFrozen(client.health)).toBe(true);
  });

  it('is degraded while it recovers, down after `downAfter`, and then up again', async () => {
    const { newClient, proxy } = given;
    const reconnect = { min: 10, max: 50 };
    const client = newClient({ downAfter: 150, reconnect });
    await client.connect();
    const seen: string[] = [];
    client.health$.subscribe(({ status }) => {
      if (seen.at(-1) !== status) seen.push(status);
    });
    proxy.refuse();
    proxy.cut();
    await until(client.health$, statusIs('down'));
    await proxy.restore();
    await until(client.health$, statusIs('up'));
    expect(seen).toEqual(['up', 'degraded', 'down', 'up']);
  });

  it('is down while a consumer has given up, until the client consumes from that queue again', async () => {
    const client = given.newClient();
    const name = uniqueName();
    const missing = { name, passive: true };
    const error = await new Promise((resolve) => client.consume({ queue: missing }).subscribe({ error: resolve }));
    expect(client.health).toMatchObject({
      status: 'down',
      consumers: [{ status: 'stopped', queueName: name, cause: error }],
    });
    const again = client.consume({ queue: { name, expires: 5000 } }).subscribe();
    await until(client.health$, statusIs('up'));
    again.unsubscribe();
    await until(client.health$, ({ consumers }) => consumers.length === 0);
  });

  it('holds the messages that wait to be sent', async () => {
    const url = `amqp://127.0.0.1:${await freePort()}`;
    const client = closing(new InstanceQueue(url));
    const sends = [1, 2, 3].map((body) => client.send({ queue: 'q', body }).catch(() => undefined));
    await eventually(() => client.health.outbox.queued === 3);
    expect(client.health.outbox.bytes).toBeGreaterThan(0);
    await client.close({ drainTimeout: 0 });
    await Promise.all(sends);
    expect(client.health).toMatchObject({ status: 'down', outbox: { queued: 0, unconfirmed: 0, bytes: 0 } });
  });
});

describe('metrics', () => {
  it('count sends and deliveries by their outcome', async () => {
    const client = given.newClient();
    const name = uniqueName();
    await client.send({ queue: name, body: 'warm-up' });
    const seen: string[] = [];
    const policy = ({ message }: Error): 'reject' | 'requeue' => (message === 'reject' ? 'reject' : 'requeue');
    client
      .consume<string>({ queue: name })
      .pipe(
        handle(
          ({ body, redelivered }: Message<string>) => {
            if (body === 'reject' || (body === 'requeue' && !redelivered)) throw new Error(body);
            seen.push(body);
          },
          { onError: (error) => policy(error as Error) },
        ),
      )
      .subscribe();
    for (const body of ['ack', 'reject', 'requeue']) await client.send({ queue: name, body });
    await client.send({ exchange: 'amq.direct', routingKey: name, body: 1 }).catch(() => undefined);
    await eventually(() => client.metrics.acked === 3);
    expect(client.metrics).toEqual({
      ...{ sent: 5, confirmed: 4, resent: 0, returned: 1, nacked: 0, timedOut: 0, dropped: 0, unclaimed: 0 },
      ...{
        delivered: 5,
        redelivered: 1,
        acked: 3,
        requeued: 1,
        released: 0,
        rejected: 1,
        lost: 0,
        undecodable: 0,
        retried: 0,
      },
      ...{ reconnects: 0, reopens: 0, inFlight: 0, outbox: { queued: 0, unconfirmed: 0, bytes: 0 } },
    });
    await client.close();
    expect(seen.sort()).toEqual(['ack', 'requeue', 'warm-up']);
    await broker.ctl('delete_queue', name);
  });
});
