import { amqpTransport } from '../../../lib/amqp/amqp-transport';
import type { InboundMessage, Link, LinkChannel, WireMessage } from '../../../lib/transport/transport';
import { closeAll, closing } from '../../support/closing';
import { collect, type Collected } from '../../support/collect';
import { dialled, hangUp } from '../../support/dialled';
import { FakeBroker, type FakeClient } from '../../support/fake-broker/fake-broker';
import { socketDestroyed } from '../../support/fake-broker/socket-destroyed';
import { eventually, rejection } from '../../support/waiting';
import type { Observable } from 'rxjs';

afterEach(async () => {
  hangUp();
  await closeAll();
});

type Options = Parameters<typeof dialled>[2];

/** A link to a broker that follows a script; `query` goes behind its URL. */
async function linked(script: (client: FakeClient) => void = () => undefined, query = '', options: Options = {}) {
  const fake = closing(await FakeBroker.start(script));
  const link = await dialled(amqpTransport, `${fake.url}${query}`, options);
  const client = fake.clients[0]!;
  /** The arguments of the only method of this name that came. */
  const told = async (name: string): Promise<unknown> => (await client.until(name)).fields;
  return { fake, link, client, told };
}
async function opened<C extends LinkChannel>(opening$: Observable<C>) {
  const opening: Collected<C> = collect(opening$);
  return { channel: await eventually(() => opening.values[0]), opening };
}
/** A broker that greets with these properties. */
const greeting = (serverProperties: object) => (client: FakeClient) => {
  client.onMethod('protocol-header', (_fields, channel) => {
    const start = { versionMajor: 0, versionMinor: 9, mechanisms: 'PLAIN EXTERNAL', locales: 'en_US' };
    client.send(channel, 'connection.start', { ...start, serverProperties });
  });
};
const message = (more: Partial<WireMessage> = {}): WireMessage => ({
  exchange: 'x',
  routingKey: 'k',
  mandatory: true,
  persistent: true,
  messageId: 'm',
  contentType: undefined,
  properties: undefined,
  content: Buffer.from('body'),
  propertiesFrame: 200,
  ...more,
});

describe('who dials', () => {
  it('says who it is, and asks for no more than the defaults of amqplib', async () => {
    const { link, told } = await linked(undefined, '', { name: 'an app', heartbeat: 7 });
    expect(await told('connection.start-ok')).toMatchObject({
      mechanism: 'PLAIN',
      response: Buffer.from('\0guest\0guest'),
      locale: 'en_US',
      clientProperties: { connection_name: 'an app' },
    });
    expect(await told('connection.tune-ok')).toEqual({ channelMax: 2047, frameMax: 131_072, heartbeat: 7 });
    expect(await told('connection.open')).toMatchObject({ virtualHost: '/' });
    expect(link).toMatchObject({ frameMax: 131_072, heartbeat: 7, lost: undefined });
  });

  it('asks for what its URL says', async () => {
    const query = 'a%2Fb%25?heartbeat=3&channelMax=9&frameMax=8192&locale=de_DE&auth_mechanism=external';
    const { link, told } = await linked(undefined, query, { heartbeat: 7 });
    const { clientProperties, ...rest } = (await told('connection.start-ok')) as Record<string, object>;
    expect(rest).toMatchObject({ mechanism: 'EXTERNAL', locale: 'de_DE' });
    expect(clientProperties).not.toHaveProperty('connection_name');
    expect(await told('connection.tune-ok')).toEqual({ channelMax: 9, frameMax: 8192, heartbeat: 3 });
    expect(await told('connection.open')).toMatchObject({ virtualHost: 'a/b%' });
    expect(link).toMatchObject({ frameMax: 8192, heartbeat: 3 });
  });

  it.each<[boolean, string, object]>([
    [true, '', { frameMax: 4096, heartbeat: 2 }],
    [false, '', { frameMax: 131_072, heartbeat: 7 }],
    [false, '?frameMax=8192', { frameMax: 8192, heartbeat: 7 }],
    [false, '?frameMax=0', { frameMax: 131_072, heartbeat: 7 }],
  ])('knows what was agreed on where it may look (wire: %p, `%s`)', async (wire, query, agreed) => {
    const tuned = (client: FakeClient): void => {
      client.onMethod('connection.start-ok', (_fields, channel) => {
        client.send(channel, 'connection.tune', { channelMax: 10, frameMax: 4096, heartbeat: 2 });
      });
    };
    expect((await linked(tuned, query, { wire, heartbeat: 7 })).link).toMatchObject(agreed);
  });

  it.each<[object, object]>([
    [
      { product: 'RabbitMQ', version: '4.1.0' },
      { broker: { product: 'RabbitMQ', version: '4.1.0' }, quorumDeliveryLimit: 20 },
    ],
    [
      { product: 'RabbitMQ', version: '3.13.7' },
      { broker: { product: 'RabbitMQ', version: '3.13.7' }, quorumDeliveryLimit: undefined },
    ],
    [
      { product: 'Other', version: '4.1.0' },
      { broker: { product: 'Other', version: '4.1.0' }, quorumDeliveryLimit: undefined },
    ],
    [{ product: 'RabbitMQ' }, { broker: undefined, quorumDeliveryLimit: undefined }],
    [
      { product: 4, version: '4.1.0' },
      { broker: undefined, quorumDeliveryLimit: undefined },
    ],
    [{}, { broker: undefined, quorumDeliveryLimit: undefined }],
  ])('knows the broker as far as that says who it is: %j', async (properties, known) => {
    const { broker, quorumDeliveryLimit } = (await linked(greeting(properties))).link;
    expect({ broker, quorumDeliveryLimit }).toEqual(known);
  });

  it.each([
    ['of all connections', '', 30],
    ['of its URL', '?connectTimeout=40', 60_000],
  ])('gives up after the time %s', async (_whose, query, connectTimeout) => {
    const fake = closing(await FakeBroker.start((client) => client.onMethod('protocol-header', 'ignore')));
    const failed = await rejection(dialled(amqpTransport, `${fake.url}${query}`, { connectTimeout }));
    const label = `127.0.0.1:${String(fake.port)}/`;
    const within = query === '' ? '30' : '40';
    expect(failed).toMatchObject({
      code: 'CONNECT_FAILED',
      endpoint: label,
      message: `Cannot connect to ${label}: no open connection within ${within} ms (\`connectTimeout\`).`,
    });
    await socketDestroyed(fake.clients[0]);
  });

  it('has not connected when the broker closes together with its last answer, and is lost when it does later', async () => {
    const fake = closing(
      await FakeBroker.start((client, number) => {
        if (number > 1) return;
        client.onMethod('connection.open', () => {
          client.send(0, 'connection.open-ok', { knownHosts: '' });
          client.closeConnection(320, 'CONNECTION_FORCED - no');
        });
      }),
    );
    expect(await rejection(dialled(amqpTransport, fake.url))).toMatchObject({ code: 'CONNECT_FAILED', replyCode: 320 });
    const link = await dialled(amqpTransport, fake.url);
    fake.clients[1]?.closeConnection(320, 'CONNECTION_FORCED - later');
    await eventually(() => link.lost);
    expect(link.lost).toMatchObject({ code: 'CONNECTION_LOST', replyCode: 320 });
  });
});

describe('a link', () => {
  it('tells while the broker blocks it, and no more when it is lost', async () => {
    const { link, client } = await linked();
    const blocked = collect(link.blocked$);
    client.send(0, 'connection.blocked', { reason: 'low on memory' });
    await eventually(() => blocked.values.length === 2);
    expect(collect(link.blocked$).values).toEqual(['low on memory']);
    client.send(0, 'connection.unblocked');
    await eventually(() => blocked.values.length === 3);
    expect(blocked).toMatchObject({ values: [undefined, 'low on memory', undefined], completed: false });
    client.reset();
    await eventually(() => blocked.completed);
    expect(link.lost).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('that is let go is closed, says so, and leaves no socket', async () => {
    const { link, client, fake } = await linked();
    hangUp();
    const label = `127.0.0.1:${String(fake.port)}/`;
    expect(link.lost).toMatchObject({
      code: 'CONNECTION_CLOSED',
      endpoint: label,
      message: `The connection to ${label} was closed.`,
    });
    await socketDestroyed(client);
  });

  it('closes in time, also where the broker does not answer', async () => {
    const { link, client } = await linked((one) => one.onMethod('connection.close', 'ignore'));
    await link.close(20);
    await socketDestroyed(client);
    expect(client.received.map(({ name }) => name)).toContain('connection.close');
    expect(link.lost).toBeUndefined();
  });

  it('says how and under which conditions something is to be deleted', async () => {
    const { link, client } = await linked();
    await link.deleteQueue('q', {});
    await link.deleteQueue('q', { ifUnused: true });
    await link.deleteQueue('q', { ifEmpty: true });
    await link.deleteExchange('x', {});
    await link.deleteExchange('x', { ifUnused: true });
    await link.unbind({ exchange: 'x', queue: 'q', arguments: { a: 1 } });
    await link.unbind({ exchange: 'x', toExchange: 'y', routingKey: 'k' });
    const deletions = client.received.filter(({ name }) => /delete|unbind/.test(name));
    expect(deletions.map(({ name, fields }) => [name, fields])).toMatchObject([
      ['queue.delete', { queue: 'q', ifUnused: false, ifEmpty: false }],
      ['queue.delete', { queue: 'q', ifUnused: true, ifEmpty: false }],
      ['queue.delete', { queue: 'q', ifUnused: false, ifEmpty: true }],
      ['exchange.delete', { exchange: 'x', ifUnused: false }],
      ['exchange.delete', { exchange: 'x', ifUnused: true }],
      ['queue.unbind', { queue: 'q', exchange: 'x', routingKey: '', arguments: { a: 1 } }],
      ['exchange.unbind', { source: 'x', destination: 'y', routingKey: 'k', arguments: {} }],
    ]);
  });

  it('gives the broker another secret, with a reason', async () => {
    const { link, told } = await linked();
    await link.updateSecret('secret');
    expect(await told('connection.update-secret')).toEqual({
      newSecret: Buffer.from('secret'),
      reason: 'renewed before it expires',
    });
  });

  it('that is lost while it waits for the answer to another secret says why', async () => {
    const { link } = await linked((one) => {
      one.onMethod('connection.update-secret', () => {
        one.closeConnection(530, 'NOT_ALLOWED - secret update failed');
      });
    });
    expect(await rejection(link.updateSecret('secret'))).toMatchObject({ code: 'CREDENTIALS_FAILED' });
    expect(await rejection(link.updateSecret('secret'))).toBe(link.lost);
  });
});

describe.each([true, false])('a channel (wire: %p)', (wire) => {
  const channels = async () => {
    const { link, client, told } = await linked(undefined, '', { wire });
    return { link, client, told };
  };
  const request = { queue: 'q', tag: 'tag', prefetch: 5, noAck: false, exclusive: false, arguments: {} };
  const consuming = async (link: Link, more: object = {}) => {
    const { channel, opening } = await opened(link.openInbound());
    const messages: InboundMessage[] = [];
    let cancelled = 0;
    await channel.consume(
      { ...request, ...more },
      { message: (one) => messages.push(one), cancelled: () => cancelled++ },
    );
    return { channel, opening, messages, cancelled: () => cancelled };
  };

  it('sets the prefetch in front of its consumer', async () => {
    const { link, client } = await channels();
    await consuming(link);
    const methods = client.received.filter(({ name }) => name.startsWith('basic.'));
    expect(methods.map(({ name, fields }) => [name, fields])).toMatchObject([
      ['basic.qos', { prefetchCount: 5, global: false }],
      ['basic.consume', { queue: 'q', consumerTag: 'tag', noAck: false, exclusive: false, arguments: {} }],
    ]);
  });

  it('sets none for a consumer that acknowledges nothing, and passes on what else it is asked for', async () => {
    const { link, client } = await channels();
    await consuming(link, { noAck: true, exclusive: true, priority: 3, arguments: { a: 1 } });
    const methods = client.received.filter(({ name }) => name.startsWith('basic.'));
    expect(methods.map(({ name, fields }) => [name, fields])).toMatchObject([
      ['basic.consume', { noAck: true, exclusive: true, arguments: { a: 1, 'x-priority': 3 } }],
    ]);
  });

  it('settles by the method that means it', async () => {
    const { link, client } = await channels();
    const { channel } = await consuming(link);
    channel.settle(1, 'ack');
    channel.settle(2, 'ack', true);
    channel.settle(3, 'requeue');
    channel.settle(4, 'reject');
    channel.settle(5, 'release');
    channel.settle(6, 'release', true);
    await channel.close();
    const settled = client.received.filter(({ name }) => /^basic\.(ack|nack|reject)$/.test(name));
    expect(settled.map(({ name, fields }) => [name, fields])).toEqual([
      ['basic.ack', { deliveryTag: 1, multiple: false }],
      ['basic.ack', { deliveryTag: 2, multiple: true }],
      ['basic.reject', { deliveryTag: 3, requeue: true }],
      ['basic.reject', { deliveryTag: 4, requeue: false }],
      ['basic.nack', { deliveryTag: 5, multiple: false, requeue: true }],
      ['basic.nack', { deliveryTag: 6, multiple: true, requeue: true }],
    ]);
    expect(channel.settle(7, 'ack')).toBe(false);
  });

  it('hands on what comes, and that its consumer was cancelled', async () => {
    const { link, client } = await channels();
    const { messages, cancelled } = await consuming(link);
    client.deliver(1, 'tag', 1, 'body', { exchange: 'x', routingKey: 'k', redelivered: true });
    await eventually(() => messages.length === 1);
    const { deliveryTag, redelivered, exchange, routingKey, unreadable } = messages[0]!;
    expect({ deliveryTag, redelivered, exchange, routingKey, unreadable }).toEqual({
      deliveryTag: 1,
      redelivered: true,
      exchange: 'x',
      routingKey: 'k',
      unreadable: undefined,
    });
    client.send(1, 'basic.cancel', { consumerTag: 'tag', nowait: true });
    await eventually(() => cancelled() === 1);
  });

  it('tells what becomes of each message that it publishes', async () => {
    const { link, client } = await channels();
    const { channel } = await opened(link.openOutbound());
    const verdicts = collect(channel.verdicts$);
    client.autoConfirm = false;
    for (const messageId of ['a', 'b', 'c']) expect(channel.publish(message({ messageId }), 1000)).toBe(true);
    await eventually(() => client.published.length === 3);
    const { published } = client;
    expect(published[0]).toMatchObject({
      exchange: 'x',
      routingKey: 'k',
      properties: { messageId: 'a', expiration: '1000' },
    });
    client.sendReturn(published[0]!);
    client.sendReturn({ ...published[1]!, properties: {} }, 313, 'NO_CONSUMERS');
    client.send(1, 'basic.ack', { deliveryTag: 2, multiple: true });
    client.send(1, 'basic.nack', { deliveryTag: 3, multiple: false, requeue: false });
    await eventually(() => verdicts.values.length === 4);
    const route = { exchange: 'x', routingKey: 'k' };
    expect(verdicts.values).toEqual([
      { kind: 'return', messageId: 'a', ...route, replyCode: 312, replyText: 'NO_ROUTE' },
      { kind: 'return', messageId: undefined, ...route, replyCode: 313, replyText: 'NO_CONSUMERS' },
      { kind: 'ack', number: 2, multiple: true },
      { kind: 'nack', number: 3, multiple: false },
    ]);
  });

  it.each(['basic.ack', 'basic.nack'])('costs the connection if what was never sent is confirmed: %s', async (name) => {
    const { link, client } = await channels();
    const { channel } = await opened(link.openOutbound());
    client.autoConfirm = false;
    channel.publish(message(), undefined);
    await client.until('basic.publish');
    client.send(1, name, { deliveryTag: 2, multiple: false, requeue: false });
    await eventually(() => link.lost);
    expect(link.lost?.message).toContain('The broker confirmed message 2 of a channel that sent 1.');
  });

  it('is full at some time, and has room again', async () => {
    const { link } = await channels();
    const { channel } = await opened(link.openOutbound());
    const drains = collect(channel.drain$);
    expect(channel.writable).toBe(true);
    for (let i = 0; channel.writable && i < 100_000; i++)
      channel.publish(message({ content: Buffer.alloc(60_000) }), undefined);
    expect(channel.writable).toBe(false);
    await eventually(() => channel.writable);
    expect(drains.values).toHaveLength(1);
  });

  it('receives direct replies without acknowledging them', async () => {
    const { link, client, told } = await channels();
    client.onMethod('basic.consume', (_fields, number) => {
      client.send(number, 'basic.consume-ok', { consumerTag: 'replies' });
      client.deliver(number, 'replies', 1, 'reply');
      client.send(number, 'basic.cancel', { consumerTag: 'replies', nowait: true });
    });
    const { channel } = await opened(link.openOutbound());
    const replies: string[] = [];
    await channel.consumeReplies(({ content }) => replies.push(content.toString()));
    expect(await told('basic.consume')).toMatchObject({ queue: 'amq.rabbitmq.reply-to', noAck: true });
    // Its end is that of its channel: a cancel says nothing.
    await channel.check('q');
    expect(replies).toEqual(['reply']);
  });
});
