import { InstanceQueue, handle, text } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const broker = sharedBroker();
afterEach(closeAll);

describe('the front door', () => {
  it('declares its topology on whichever connection is used first', async () => {
    const [exchange, name] = [uniqueName('exchange'), uniqueName()];
    const topology = {
      exchanges: [{ name: exchange, type: 'topic', autoDelete: true }],
      queues: [{ name, expires: 10_000, maxPriority: 3 }],
      bindings: [{ exchange, queue: name, routingKey: 'a.*' }],
    };
    const sending = closing(new InstanceQueue({ url: broker.url, topology }));
    await sending.send({ exchange, routingKey: 'a.b', body: 'routed' });
    const consuming = closing(new InstanceQueue({ url: broker.url, topology }));
    // By name alone: it means the entry, whose arguments would differ otherwise (406).
    const delivery = await until(consuming.consume({ queue: name }), () => true);
    expect(delivery).toMatchObject({ body: 'routed', routingKey: 'a.b', queue: name });
  });

  it('gives consumers its `prefetch` and `tagPrefix`, unless they say otherwise', async () => {
    const [first, second] = [uniqueName(), uniqueName()];
    const queue = closing(new InstanceQueue({ url: broker.url, consumer: { prefetch: 3, tagPrefix: 'front' } }));
    queue.consume({ queue: { name: first, expires: 5000 } }).subscribe();
    queue.consume({ queue: { name: second, expires: 5000 }, prefetch: 7, tagPrefix: 'own' }).subscribe();
    queue.consume({ queue: { name: '', exclusive: true }, noAck: true }).subscribe();
    await until(queue.health$, ({ status, consumers }) => status === 'up' && consumers.length === 3);
    const rows = await broker.consumers();
    const row = (name: string) => rows.find((one) => one.queue === name);
    expect(row(first)).toMatchObject({ prefetch: 3, tag: expect.stringMatching(/^front-/) as string });
    expect(row(second)).toMatchObject({ prefetch: 7, tag: expect.stringMatching(/^own-/) as string });
  });

  it('gives producers its defaults, unless they say otherwise', async () => {
    const queue = closing(new InstanceQueue({ url: broker.url, producer: { mandatory: false, codec: text } }));
    const nowhere = { exchange: 'amq.direct', routingKey: uniqueName(), body: 'lost' };
    await queue.send(nowhere);
    const strict = queue.producer({ mandatory: true });
    await expect(strict.send(nowhere)).rejects.toMatchObject({ code: 'PUBLISH_RETURNED' });
    await expect(queue.send({ ...nowhere, body: { not: 'text' } })).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
  });

  it('stops consuming first: what still runs can send, and is acked', async () => {
    const [source, target] = [uniqueName(), uniqueName()];
    const queue = new InstanceQueue(broker.url);
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const sent: unknown[] = [];
    const work = async (): Promise<void> => {
      await gate;
      sent.push(await queue.send({ queue: target, body: 'result' }));
    };
    queue.consume({ queue: source, prefetch: 2 }).pipe(handle(work)).subscribe();
    for (const body of [1, 2]) await queue.send({ queue: source, body });
    await eventually(() => queue.metrics.inFlight === 2);
    const closed = queue.close();
    await until(queue.state$, ({ consumer }) => consumer.status === 'closing');
    expect(queue.state.producer.status).toBe('connected');
    go();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(sent).toHaveLength(2);
    expect(queue.metrics).toMatchObject({ acked: 2, lost: 0 });
    const rows = (await broker.queues()).filter(({ name }) => name === source || name === target);
    expect(new Map(rows.map(({ name, messages }) => [name, messages]))).toEqual(
      new Map([
        [source, 0],
        [target, 2],
      ]),
    );
    await broker.ctl('delete_queue', source);
    await broker.ctl('delete_queue', target);
  });

  it('closes at the end of its block', async () => {
    let outer: InstanceQueue;
    {
      await using queue = new InstanceQueue(broker.url);
      await queue.connect();
      outer = queue;
    }
    const closed = { status: 'closed' };
    expect(outer.state).toEqual({ producer: closed, consumer: closed });
    expect(() => outer.consume({ queue: 'q' })).not.toThrow();
    await expect(until(outer.consume({ queue: 'q' }), () => true)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await expect(outer.send({ queue: 'q', body: 1 })).rejects.toMatchObject({ code: 'PUBLISH_CLOSED' });
  });
});
