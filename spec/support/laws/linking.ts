import { ChannelError } from 'instance-queue';
import { firstValueFrom, type Observable } from 'rxjs';
import { isRabbitMq } from '../../../lib/transport/broker-version';
import type { InboundMessage, Link, LinkChannel, WireMessage } from '../../../lib/transport/transport';
import { uniqueName } from '../unique-name';
import { collect, type Collected } from '../collect';
import { eventually, rejection } from '../waiting';

/** A channel that the law's `Link` opened, and what came of its Observable. */
interface Opened<C> {
  readonly channel: C;
  readonly opening: Collected<C>;
}

async function open<C extends LinkChannel>(opening$: Observable<C>): Promise<Opened<C>> {
  const opening = collect(opening$);
  const channel = await eventually(() => opening.values[0]);
  return { channel, opening };
}

const message = (routingKey: string, content: string, more: Partial<WireMessage> = {}): WireMessage => ({
  exchange: '',
  routingKey,
  mandatory: true,
  persistent: false,
  messageId: `id of ${content}`,
  contentType: undefined,
  properties: undefined,
  content: Buffer.from(content),
  propertiesFrame: 200,
  ...more,
});

const text = ({ content }: InboundMessage): string => content.toString();

/** What the transport port promises, whatever carries AMQP. `dial` gives a link that is closed behind the test. */
export function linkingLaws(dial: () => Promise<Link>): void {
  let link: Link;
  const declared: string[] = [];
  beforeEach(async () => {
    link = await dial();
  });
  afterEach(async () => {
    const cleaning = await dial();
    for (const name of declared.splice(0)) await cleaning.deleteQueue(name, {});
  });

  const named = (): string => {
    const name = uniqueName();
    declared.push(name);
    return name;
  };
  const queue = async (): Promise<string> => {
    const name = named();
    await link.declare({ queues: [{ name }] });
    return name;
  };
  const filled = async (...contents: string[]): Promise<string> => {
    const name = await queue();
    const { channel } = await open(link.openOutbound());
    const verdicts = collect(channel.verdicts$);
    for (const content of contents) channel.publish(message(name, content), undefined);
    await eventually(
      () => verdicts.values.reduce((last, v) => (v.kind === 'return' ? last : v.number), 0) === contents.length,
    );
    await channel.close();
    return name;
  };
  /** A consumer, and what it gets. */
  const consumer = async (from: string, { prefetch = 10, noAck = false } = {}) => {
    const { channel, opening } = await open(link.openInbound());
    const messages: InboundMessage[] = [];
    let cancelled = 0;
    const request = { queue: from, tag: 'tag', prefetch, noAck, exclusive: false, arguments: {} };
    await channel.consume(request, { message: (one) => messages.push(one), cancelled: () => cancelled++ });
    return { channel, opening, messages, cancelled: () => cancelled };
  };

  it('a check finds out whether a queue is there, and costs the link nothing', async () => {
    const name = await queue();
    expect(await link.check(name)).toBe('there');
    expect(await link.check(uniqueName())).toBe('missing');
    expect(await link.check(name)).toBe('there');
  });

  it('a check on a channel ends it if the queue is missing', async () => {
    const { channel, opening } = await open(link.openInbound());
    expect(await channel.check(await queue())).toBe('there');
    expect(channel.ended).toBe(false);
    expect(await channel.check(uniqueName())).toBe('missing');
    await eventually(() => channel.ended);
    expect(opening.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 404 });
    await expect(channel.declare({ queues: [{ name: named() }] })).rejects.toBeInstanceOf(ChannelError);
  });

  it('a declaration resolves with the name that the broker chose, which is what an empty name means in a binding', async () => {
    const exchange = uniqueName('exchange');
    const topology = {
      exchanges: [{ name: exchange, type: 'fanout', autoDelete: true }],
      bindings: [{ exchange, queue: '' }],
    };
    const name = await link.declare(topology, { name: '', exclusive: true });
    expect(name).toMatch(/^amq\.gen-/);
    const { channel } = await open(link.openOutbound());
    channel.publish(message('any', 'x', { exchange }), undefined);
    await eventually(async () => (await link.inspect(name!))?.messages === 1);
    expect(await link.declare({})).toBeUndefined();
  });

  it('a refused declaration rejects with the words of the broker; what stands in front of it is made', async () => {
    const [made, other] = [named(), await queue()];
    const topology = { queues: [{ name: made }, { name: other, autoDelete: true }] };
    const sentence = `inequivalent arg 'auto_delete' for queue '${other}' in vhost '/': received 'true' but current is 'false'`;
    const refused = await rejection(link.declare(topology));
    expect(refused).toBeInstanceOf(ChannelError);
    expect(refused).toMatchObject({
      replyCode: 406,
      message: `Cannot declare the topology: 406 PRECONDITION_FAILED - ${sentence}`,
    });
    const { channel, opening } = await open(link.openInbound());
    const own = { name: other, autoDelete: true };
    expect(await rejection(channel.declare({}, own))).toMatchObject({
      replyCode: 406,
      message: `Cannot declare queue \`${other}\`: 406 PRECONDITION_FAILED - ${sentence}`,
    });
    await eventually(() => channel.ended);
    expect(opening.error).toMatchObject({
      replyCode: 406,
      message: `The broker closed the channel: 406 PRECONDITION_FAILED - ${sentence}`,
    });
    expect(await link.check(made)).toBe('there');
  });

  it('queues are inspected, purged and deleted', async () => {
    const name = await filled('a', 'b', 'c');
    expect(await link.inspect(name)).toEqual({ messages: 3, consumers: 0 });
    expect(await link.inspect(uniqueName())).toBeUndefined();
    expect(await rejection(link.deleteQueue(name, { ifEmpty: true }))).toMatchObject({
      replyCode: 406,
      message: `Cannot delete queue \`${name}\`: 406 PRECONDITION_FAILED - queue '${name}' in vhost '/' not empty`,
    });
    const { channel, messages } = await consumer(name, { prefetch: 1 });
    await eventually(() => messages.length === 1);
    expect(await link.inspect(name)).toEqual({ messages: 2, consumers: 1 });
    expect(await rejection(link.deleteQueue(name, { ifUnused: true }))).toMatchObject({
      replyCode: 406,
      message: `Cannot delete queue \`${name}\`: 406 PRECONDITION_FAILED - queue '${name}' in vhost '/' in use`,
    });
    expect(await link.purge(name)).toBe(2);
    await channel.close();
    expect(await link.deleteQueue(name, { ifUnused: true })).toBe(1);
    expect(await link.deleteQueue(name, {})).toBe(0);
    expect(await rejection(link.purge(name))).toMatchObject({
      replyCode: 404,
      message: `Cannot purge queue \`${name}\`: 404 NOT_FOUND - no queue '${name}' in vhost '/'`,
    });
  });

  it('exchanges are deleted, and bindings removed, whether they are there or not', async () => {
    const [name, exchange] = [await queue(), uniqueName('exchange')];
    const binding = { exchange, queue: name, routingKey: 'k' };
    await link.declare({ exchanges: [{ name: exchange, type: 'direct' }], bindings: [binding] });
    expect(await rejection(link.deleteExchange(exchange, { ifUnused: true }))).toMatchObject({
      replyCode: 406,
      message: `Cannot delete exchange \`${exchange}\`: 406 PRECONDITION_FAILED - exchange '${exchange}' in vhost '/' in use`,
    });
    await link.unbind({ ...binding, routingKey: 'another' });
    await link.unbind({ ...binding, queue: uniqueName() });
    await link.unbind(binding);
    await link.deleteExchange(exchange, { ifUnused: true });
    await link.deleteExchange(exchange, {});
    await link.unbind(binding);
    expect(await rejection(link.deleteExchange('amq.direct', {}))).toMatchObject({
      replyCode: 403,
      message: expect.stringContaining("deletion of system exchange 'amq.direct' in vhost '/' not allowed") as string,
    });
    for (const refused of [() => link.deleteExchange('', {}), () => link.unbind({ exchange: '', queue: name })]) {
      expect(await rejection(refused())).toMatchObject({
        replyCode: 403,
        message: expect.stringContaining('operation not permitted on the default exchange') as string,
      });
    }
  });

  it('messages arrive in order with what was published, and are settled by their tags', async () => {
    const name = await filled('a', 'b', 'c', 'd');
    const { channel, messages } = await consumer(name, { prefetch: 3 });
    await eventually(() => messages.length === 3);
    expect(messages.map(text)).toEqual(['a', 'b', 'c']);
    // Members may be getters.
    const { deliveryTag, redelivered, exchange, routingKey, contentType, headers, properties } = messages[0]!;
    expect(headers ?? {}).toEqual({});
    expect({ deliveryTag, redelivered, exchange, routingKey, contentType, properties }).toEqual({
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: name,
      contentType: undefined,
      properties: { messageId: 'id of a', headers: {} },
    });
    expect(channel.settle(2, 'ack', true)).toBe(true);
    await eventually(() => messages.length === 4);
    expect(channel.settle(3, 'requeue')).toBe(true);
    await eventually(() => messages.length === 5);
    expect(messages.slice(3).map((one) => [text(one), one.deliveryTag, one.redelivered])).toEqual([
      ['d', 4, false],
      ['c', 5, true],
    ]);
    channel.settle(4, 'reject');
    channel.settle(5, 'release');
    await eventually(() => messages.length === 6);
    await channel.close();
    await eventually(async () => (await link.inspect(name))?.messages === 1);
  });

  it('a get takes one message, to be settled on the same channel', async () => {
    const name = await filled('a', 'b');
    const { channel } = await open(link.openInbound());
    const first = (await channel.get(name))!;
    expect([first.deliveryTag, first.redelivered, first.routingKey, text(first)]).toEqual([1, false, name, 'a']);
    channel.settle(1, 'ack');
    expect(text((await channel.get(name))!)).toBe('b');
    expect(await channel.get(name)).toBeUndefined();
    await channel.close();
    await eventually(async () => (await link.inspect(name))?.messages === 1);
    const missing = uniqueName();
    const other = await open(link.openInbound());
    expect(await rejection(other.channel.get(missing))).toMatchObject({
      replyCode: 404,
      message: `Cannot get a message of queue \`${missing}\`: 404 NOT_FOUND - no queue '${missing}' in vhost '/'`,
    });
  });

  it('an unknown tag ends its channel, with the reason, and nothing can be settled any more', async () => {
    const { channel, opening } = await consumer(await queue());
    const ended = collect(channel.ended$);
    channel.settle(7, 'ack');
    await eventually(() => channel.ended);
    expect(ended.values).toMatchObject([
      { replyCode: 406, message: 'The broker closed the channel: 406 PRECONDITION_FAILED - unknown delivery tag 7' },
    ]);
    expect(ended.completed).toBe(true);
    expect(opening.error).toBe(ended.values[0]);
    expect(channel.settle(1, 'ack')).toBe(false);
    expect(await link.check(uniqueName())).toBe('missing');
  });

  it('a consumer with a prefetch of 0 gets everything at once', async () => {
    const { messages } = await consumer(await filled('a', 'b', 'c'), { prefetch: 0 });
    await eventually(() => messages.length === 3);
    expect(messages.map(text)).toEqual(['a', 'b', 'c']);
  });

  it('a cancelled consumer gets nothing more, and keeps what it has', async () => {
    const name = await filled('a', 'b');
    const { channel, messages, cancelled } = await consumer(name, { prefetch: 1 });
    await eventually(() => messages.length === 1);
    await channel.cancel('tag');
    channel.settle(1, 'ack');
    await channel.close();
    expect(messages).toHaveLength(1);
    expect(cancelled()).toBe(0);
    expect(await link.inspect(name)).toEqual({ messages: 1, consumers: 0 });
  });

  it('a consumer whose queue is deleted is cancelled', async () => {
    const { channel, cancelled } = await consumer(await queue());
    await link.deleteQueue(declared.at(-1)!, {});
    await eventually(() => cancelled() === 1);
    expect(channel.ended).toBe(false);
  });

  it('what a deleted queue had delivered goes nowhere when it is settled', async () => {
    const dead = await queue();
    const name = named();
    await link.declare({ queues: [{ name, deadLetter: { queue: dead } }] });
    const { channel: publishing } = await open(link.openOutbound());
    for (const content of ['a', 'b', 'c']) publishing.publish(message(name, content), undefined);
    const { channel, messages, cancelled } = await consumer(name);
    await eventually(() => messages.length === 3);
    await link.deleteQueue(name, {});
    await eventually(() => cancelled() === 1);
    channel.settle(1, 'reject');
    channel.settle(2, 'requeue');
    channel.settle(3, 'ack');
    // Answered after them.
    expect(await channel.check(dead)).toBe('there');
    expect(await link.inspect(dead)).toEqual({ messages: 0, consumers: 0 });
  });

  it('confirms are numbered per channel, and a return comes in front of its confirm', async () => {
    const name = await queue();
    const { channel } = await open(link.openOutbound());
    const verdicts = collect(channel.verdicts$);
    expect(channel.publish(message(name, 'a'), undefined)).toBe(true);
    expect(channel.publish(message(uniqueName(), 'b'), 60_000)).toBe(true);
    expect(channel.publish(message(name, 'c', { contentType: 'text/plain' }), 60_000)).toBe(true);
    await eventually(() => verdicts.values.some((v) => v.kind === 'ack' && v.number === 3));
    const returned = verdicts.values.findIndex(({ kind }) => kind === 'return');
    expect(verdicts.values[returned]).toMatchObject({ messageId: 'id of b', replyCode: 312, replyText: 'NO_ROUTE' });
    expect(verdicts.values.slice(0, returned)).not.toContainEqual(expect.objectContaining({ number: 2 }));
    const { messages } = await consumer(name);
    await eventually(() => messages.length === 2);
    expect(messages[1]?.properties).toEqual({
      messageId: 'id of c',
      contentType: 'text/plain',
      expiration: 60_000,
      headers: {},
    });
  });

  it('a publish that is refused ends its channel', async () => {
    const { channel, opening } = await open(link.openOutbound());
    const verdicts = collect(channel.verdicts$);
    const drains = collect(channel.drain$);
    const exchange = uniqueName();
    channel.publish(message('k', 'x', { exchange }), undefined);
    await eventually(() => channel.ended);
    expect(opening.error).toMatchObject({
      replyCode: 404,
      message: `The broker closed the channel: 404 NOT_FOUND - no exchange '${exchange}' in vhost '/'`,
    });
    expect([verdicts.completed, drains.completed]).toEqual([true, true]);
    expect(channel.publish(message('k', 'x'), undefined)).toBe(false);
  });

  it('direct replies reach the channel that asked, until it is gone', async () => {
    const name = await queue();
    const [asking, answering] = [(await open(link.openOutbound())).channel, (await open(link.openOutbound())).channel];
    const replies: string[] = [];
    await asking.consumeReplies((reply) => replies.push(text(reply)));
    asking.publish(message(name, 'q', { properties: { replyTo: 'amq.rabbitmq.reply-to' } }), undefined);
    const { messages } = await consumer(name);
    await eventually(() => messages.length === 1);
    const to = messages[0]!.properties.replyTo!;
    expect(to).toMatch(/^amq\.rabbitmq\.reply-to\../);
    answering.publish(message(to, 'r'), undefined);
    await eventually(() => replies.length === 1);
    await asking.close();
    const verdicts = collect(answering.verdicts$);
    answering.publish(message(to, 'late'), undefined);
    // Brokers return a late reply or drop it.
    await eventually(() => verdicts.values.some((verdict) => verdict.kind === 'ack' && verdict.number === 2));
    expect(replies).toEqual(['r']);
  });

  it('a request for a reply needs a channel that receives replies', async () => {
    const { channel, opening } = await open(link.openOutbound());
    channel.publish(message(await queue(), 'q', { properties: { replyTo: 'amq.rabbitmq.reply-to' } }), undefined);
    await eventually(() => channel.ended);
    expect(opening.error).toMatchObject({
      replyCode: 406,
      message: 'The broker closed the channel: 406 PRECONDITION_FAILED - fast reply consumer does not exist',
    });
  });

  it('a channel closed on purpose ends without an error', async () => {
    const { channel, opening } = await open(link.openInbound());
    const ended = collect(channel.ended$);
    await Promise.all([channel.close(), channel.close()]);
    expect(ended).toMatchObject({ values: [undefined], completed: true });
    expect(opening).toMatchObject({ error: undefined, completed: true });
    expect(channel.ended).toBe(true);
    await channel.close();
    await channel.cancel('tag');
  });

  it('a channel that is given up while it opens is closed; one that is open stays', async () => {
    collect(link.openInbound()).subscription.unsubscribe();
    const { channel, opening } = await open(link.openInbound());
    opening.subscription.unsubscribe();
    expect(await channel.get(await filled('a'))).toBeDefined();
    await channel.close();
  });

  it('a refusal over which the broker closes the connection ends the link, with the reason', async () => {
    const name = named();
    await link.declare({ queues: [{ name, type: 'stream' }] });
    const { channel, opening } = await open(link.openInbound());
    const reason = `NOT_IMPLEMENTED - queue.purge not supported by stream queues queue '${name}' in vhost '/'`;
    expect(await rejection(link.purge(name))).toMatchObject({
      replyCode: 540,
      message: expect.stringContaining(`Cannot purge queue \`${name}\`: `) as string,
    });
    await eventually(() => channel.ended);
    expect(link.lost).toMatchObject({ code: 'CONNECTION_LOST', replyCode: 540 });
    expect(link.lost?.message).toContain(`the broker closed it: 540 ${reason}`);
    expect(opening.error).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode: 540 });
  });

  it('an exchange of a type that the broker does not know is refused with the reason, which ends the link before RabbitMQ 4.0', async () => {
    const exchanges = [{ name: uniqueName('exchange'), type: 'nope' }];
    const refusal = await rejection(link.declare({ exchanges }));
    const replyCode = isRabbitMq(link.broker, '4.0') ? 406 : 503;
    expect(refusal).toMatchObject({ code: 'CHANNEL_CLOSED', replyCode });
    expect(String(refusal)).toContain("unknown exchange type 'nope'");
    expect(link.lost?.replyCode).toBe(replyCode === 503 ? 503 : undefined);
  });

  it('another secret is taken while messages flow, and none after the link is closed', async () => {
    const name = await queue();
    const { channel } = await open(link.openOutbound());
    const verdicts = collect(channel.verdicts$);
    channel.publish(message(name, 'a'), undefined);
    await Promise.all([link.updateSecret('one'), link.updateSecret('another')]);
    channel.publish(message(name, 'b'), undefined);
    await eventually(() => verdicts.values.some((verdict) => verdict.kind === 'ack' && verdict.number === 2));
    await link.close(5000);
    expect(await rejection(link.updateSecret('late'))).toMatchObject({ code: 'CONNECTION_LOST' });
  });

  it('a link that is closed ends its channels, and opens none', async () => {
    const { channel, opening } = await open(link.openInbound());
    const blocked = collect(link.blocked$);
    expect(blocked.values).toEqual([undefined]);
    await link.close(5000);
    await eventually(() => channel.ended);
    expect(opening.error).toBeInstanceOf(ChannelError);
    expect(await rejection(firstValueFrom(link.openOutbound()))).toMatchObject({
      code: 'CHANNEL_CLOSED',
      message: expect.stringContaining('Cannot open a channel') as string,
    });
    expect(await rejection(link.check('any'))).toBeInstanceOf(ChannelError);
    await link.close(50);
  });
}
