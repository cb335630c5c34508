import { InstanceQueue, handle, text } from 'instance-queue';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture();
const { broker } = given;

describe('an InstanceQueue', () => {
  it('declares its topology on the connection that is used first', async () => {
    const [exchange, name] = [uniqueName('exchange'), uniqueName()];
    const topology = {
      exchanges: [{ name: exchange, type: 'topic', autoDelete: true }],
      queues: [{ name, expires: 10_000, maxPriority: 3 }],
      bindings: [{ exchange, queue: name, routingKey: 'a.*' }],
    };
    const sending = given.newClient({ topology });
    await sending.send({ exchange, routingKey: 'a.b', body: 'routed' });
    const consuming = given.newClient({ topology });
    // The name stands for the entry: without its arguments the broker would answer with 406.
    const delivery = await until(consuming.consume({ queue: name }), () => true);
    expect(delivery).toMatchObject({ body: 'routed', routingKey: 'a.b', queue: name });
  });

  it('gives its `prefetch` and `tagPrefix` to consumers that have none of their own', async () => {
    const [first, second] = [uniqueName(), uniqueName()];
    const client = given.newClient({ consumer: { prefetch: 3, tagPrefix: 'front' } });
    client.consume({ queue: { name: first, expires: 5000 } }).subscribe();
    client.consume({ queue: { name: second, expires: 5000 }, prefetch: 7, tagPrefix: 'own' }).subscribe();
    client.consume({ queue: { name: '', exclusive: true }, noAck: true }).subscribe();
    await until(client.health$, ({ status, consumers }) => status === 'up' && consumers.length === 3);
    const rows = await broker.consumers();
    const row = (name: string) => rows.find((one) => one.queue === name);
    expect(row(first)).toMatchObject({ prefetch: 3, tag: expect.stringMatching(/^front-/) as string });
    expect(row(second)).toMatchObject({ prefetch: 7, tag: expect.stringMatching(/^own-/) as string });
  });

  it('gives its producer options to producers that have none of their own', async () => {
    const client = given.newClient({ producer: { mandatory: false, codec: text } });
    const nowhere = { exchange: 'amq.direct', routingKey: uniqueName(), body: 'lost' };
    await client.send(nowhere);
    const strict = client.producer({ mandatory: true });
    await expect(strict.send(nowhere)).rejects.toMatchObject({ code: 'PUBLISH_RETURNED' });
    await expect(client.send({ ...nowhere, body: { not: 'text' } })).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
  });

  it('stops consuming first when it is closed: running work can still send, and is acked', async () => {
    const [source, target] = [uniqueName(), uniqueName()];
    const client = given.newClient();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const sent: unknown[] = [];
    const work = async (): Promise<void> => {
      await gate;
      sent.push(await client.send({ queue: target, body: 'result' }));
    };
    client.consume({ queue: source, prefetch: 2 }).pipe(handle(work)).subscribe();
    for (const body of [1, 2]) await client.send({ queue: source, body });
    await eventually(() => client.metrics.inFlight === 2);
    const closed = client.close();
    await until(client.state$, ({ consumer }) => consumer.status === 'closing');
    expect(client.state.producer.status).toBe('connected');
    go();
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
    expect(sent).toHaveLength(2);
    expect(client.metrics).toMatchObject({ acked: 2, lost: 0 });
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

  it('is closed at the end of the block by `await using`', async () => {
    let outer: InstanceQueue;
    {
      await using client = new InstanceQueue(broker.url);
      await client.connect();
      outer = client;
    }
    const closed = { status: 'closed' };
    expect(outer.state).toEqual({ producer: closed, consumer: closed });
    expect(() => outer.consume({ queue: 'q' })).not.toThrow();
    await expect(until(outer.consume({ queue: 'q' }), () => true)).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' });
    await expect(outer.send({ queue: 'q', body: 1 })).rejects.toMatchObject({ code: 'PUBLISH_CLOSED' });
  });
});
