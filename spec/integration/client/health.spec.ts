import { InstanceQueue, handle, type Message } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { freePort } from '../../../compose/ports';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const broker = sharedBroker();
afterEach(closeAll);

const statusIs =
  (wanted: string) =>
  ({ status }: { status: string }): boolean =>
    status === wanted;

describe('health', () => {
  it('is down before anything is asked for, and up when all that is in use is', async () => {
    const queue = closing(new InstanceQueue(broker.url));
    expect(queue.health).toMatchObject({
      status: 'down',
      consumers: [],
      outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
    });
    const name = uniqueName();
    queue.consume({ queue: { name, expires: 5000 } }).subscribe();
    await until(queue.health$, statusIs('up'));
    expect(queue.health.connections.producer.status).toBe('disconnected');
    expect(queue.health.consumers).toEqual([
      expect.objectContaining({ status: 'attached', queue: name, queueName: name }),
    ]);
    expect(Object.isFrozen(queue.health)).toBe(true);
  });

  it('is degraded while recovering, down when that takes longer than `downAfter`, and up again', async () => {
    const proxy = await FaultProxy.before(broker.url);
    const reconnect = { min: 10, max: 50 };
    const queue = closing(new InstanceQueue({ url: proxy.url(broker.url), downAfter: 150, reconnect }));
    await queue.connect();
    const seen: string[] = [];
    queue.health$.subscribe(({ status }) => {
      if (seen.at(-1) !== status) seen.push(status);
    });
    proxy.refuse();
    proxy.cut();
    await until(queue.health$, statusIs('down'));
    await proxy.restore();
    await until(queue.health$, statusIs('up'));
    expect(seen).toEqual(['up', 'degraded', 'down', 'up']);
    await closeAll();
    await proxy.close();
  });

  it('is down while a consumer has given up, until somebody consumes from that queue again', async () => {
    const queue = closing(new InstanceQueue(broker.url));
    const name = uniqueName();
    const missing = { name, passive: true };
    const given = new Promise((resolve) => queue.consume({ queue: missing }).subscribe({ error: resolve }));
    const error = await given;
    expect(queue.health).toMatchObject({
      status: 'down',
      consumers: [{ status: 'stopped', queueName: name, cause: error }],
    });
    const again = queue.consume({ queue: { name, expires: 5000 } }).subscribe();
    await until(queue.health$, statusIs('up'));
    again.unsubscribe();
    await until(queue.health$, ({ consumers }) => consumers.length === 0);
  });

  it('samples what waits for the wire', async () => {
    const url = `amqp://127.0.0.1:${await freePort()}`;
    const queue = closing(new InstanceQueue(url));
    const sends = [1, 2, 3].map((body) => queue.send({ queue: 'q', body }).catch(() => undefined));
    await eventually(() => queue.health.outbox.queued === 3);
    expect(queue.health.outbox.bytes).toBeGreaterThan(0);
    await queue.close({ drainTimeout: 0 });
    await Promise.all(sends);
    expect(queue.health).toMatchObject({ status: 'down', outbox: { queued: 0, unconfirmed: 0, bytes: 0 } });
  });
});

describe('metrics', () => {
  it('count what was sent and what became of what came', async () => {
    const queue = closing(new InstanceQueue(broker.url));
    const name = uniqueName();
    await queue.send({ queue: name, body: 'warm-up' });
    const seen: string[] = [];
    const policy = ({ message }: Error): 'reject' | 'requeue' => (message === 'reject' ? 'reject' : 'requeue');
    queue
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
    for (const body of ['ack', 'reject', 'requeue']) await queue.send({ queue: name, body });
    await queue.send({ exchange: 'amq.direct', routingKey: name, body: 1 }).catch(() => undefined);
    await eventually(() => queue.metrics.acked === 3);
    expect(queue.metrics).toEqual({
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
    await queue.close();
    expect(seen.sort()).toEqual(['ack', 'requeue', 'warm-up']);
    await broker.ctl('delete_queue', name);
  });
});
