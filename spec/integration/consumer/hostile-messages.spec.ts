import type { Options } from 'amqplib';
import { handle, json, type Delivery, type InstanceQueue, type InstanceQueueOptions } from 'instance-queue';
import { closing } from '../../support/closing';
import { consumingFixture } from '../../support/fixtures/consuming';
import { RawPublisher, nestedTable } from '../../support/frames/raw-publisher';
import { eventually } from '../../support/waiting';

const given = consumingFixture();

const JSON_TYPE = { contentType: 'application/json' };
const POLLUTING = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
const BAD_UTF8 = Buffer.from([0x22, 0xc3, 0x28, 0xff, 0x22]);

interface Seen {
  readonly deliveries: readonly Delivery<unknown>[];
  /** The cause of each `undecodable` event. */
  readonly undecodable: readonly unknown[];
}
/** Consumes everything in the queue, up to the message 'the end', which it puts there first. */
async function consumed(options: Omit<InstanceQueueOptions, 'url'> = {}): Promise<Seen & { client: InstanceQueue }> {
  const client = given.newClient(options);
  const consumer = client.consumer({ queue: given.queue, prefetch: 100 });
  const deliveries: Delivery<unknown>[] = [];
  const undecodable: unknown[] = [];
  consumer.on('undecodable', (_, { cause }) => undecodable.push(cause));
  await given.bystander.put(given.queue, 'the end');
  consumer.deliveries$.subscribe((delivery) => {
    deliveries.push(delivery);
    delivery.ack();
  });
  await eventually(() => deliveries.at(-1)?.body === 'the end');
  return { deliveries: deliveries.slice(0, -1), undecodable, client };
}
const expectUnharmed = (client: InstanceQueue, undecodable: number): void => {
  expect(client.state.consumer).toMatchObject({ status: 'connected', epoch: 1 });
  expect(client.metrics).toMatchObject({ undecodable, reopens: 0, lost: 0 });
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Readonly<Record<string, unknown>>)['polluted']).toBeUndefined();
};

describe('a hostile message', () => {
  it.each<[string, Buffer, Options.Publish, 'delivered' | 'undecodable']>([
    ['JSON 100 000 deep', Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)), JSON_TYPE, 'delivered'],
    ['JSON with the keys of prototypes', Buffer.from(POLLUTING), JSON_TYPE, 'delivered'],
    ['16 MiB', Buffer.alloc(16 * 1024 * 1024, 'x'), { contentType: 'text/plain' }, 'delivered'],
    ['JSON marked as compressed', Buffer.from('{}'), { ...JSON_TYPE, contentEncoding: 'gzip' }, 'delivered'],
    ['invalid JSON', Buffer.from('{"secret'), JSON_TYPE, 'undecodable'],
    ['an empty body marked as JSON', Buffer.alloc(0), JSON_TYPE, 'undecodable'],
    ['JSON that is not UTF-8', BAD_UTF8, JSON_TYPE, 'undecodable'],
    ['text that is not UTF-8', BAD_UTF8, { contentType: 'text/plain' }, 'undecodable'],
  ])('of %s is settled once, and the next message is delivered', async (_, content, options, outcome) => {
    const { bystander, queue } = given;
    await bystander.publishRaw('', queue, [content], options);
    const { deliveries, undecodable, client } = await consumed();
    expect([deliveries.length, undecodable.length]).toEqual(outcome === 'delivered' ? [1, 0] : [0, 1]);
    expectUnharmed(client, undecodable.length);
    await client.close();
    expect((await bystander.count(queue)).ready).toBe(0);
  });

  it('that makes its codec throw is undecodable', async () => {
    const { bystander, newClient, queue } = given;
    const deep = Buffer.from('['.repeat(50_000) + ']'.repeat(50_000));
    const depth = (value: unknown): number => (Array.isArray(value) && value.length > 0 ? 1 + depth(value[0]) : 0);
    await bystander.publishRaw('', queue, [deep], JSON_TYPE);
    const client = newClient();
    const bodies: unknown[] = [];
    client
      .consume({ queue, codec: json((value) => (typeof value === 'string' ? value : depth(value))) })
      .pipe(handle(({ body }) => void bodies.push(body)))
      .subscribe();
    await bystander.put(queue, 'the end');
    await eventually(() => bodies.length > 0);
    expect(bodies).toEqual(['the end']);
    expectUnharmed(client, 1);
  });

  it.each<[string, unknown, number]>([
    ['text', 'abc', 0],
    ['a negative number', -5, 0],
    ['a fraction', 1.5, 0],
    ['a number beyond all integers', { '!': 'double', value: 1e300 }, 0],
    ['a table', { a: 1 }, 0],
    ['nothing', null, 0],
    ['a number', 7, 7],
  ])('whose delivery count is %s has an integer as its `deliveryCount`', async (_, claim, count) => {
    const { bystander, queue } = given;
    await bystander.publishRaw('', queue, [Buffer.from('1')], { ...JSON_TYPE, headers: { 'x-delivery-count': claim } });
    const { deliveries } = await consumed();
    expect(deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([count]);
  });

  it.each([2 ** 62, Number.MAX_SAFE_INTEGER])('whose timestamp no Date can hold (%d s) has none', async (timestamp) => {
    const { bystander, queue } = given;
    await bystander.publishRaw('', queue, [Buffer.from('1')], { ...JSON_TYPE, timestamp });
    const { deliveries } = await consumed();
    expect(deliveries).toHaveLength(1);
    expect(deliveries[0]!.properties).not.toHaveProperty('timestamp');
  });

  it('cannot set the prototype of its headers, at any depth', async () => {
    const { bystander, queue } = given;
    const table: unknown = JSON.parse(`{"a":[{"b":${POLLUTING}}],"__proto__":{"x-delivery-count":7,"polluted":true}}`);
    await bystander.publishRaw('', queue, [Buffer.from('1')], { ...JSON_TYPE, headers: table });
    const { deliveries, client } = await consumed();
    const [{ properties, deliveryCount } = { properties: {}, deliveryCount: -1 }] = deliveries;
    expect(deliveryCount).toBe(0);
    expect(Object.getPrototypeOf(properties.headers)).toBe(Object.prototype);
    expect(properties.headers?.['polluted']).toBeUndefined();
    const { a } = properties.headers as { a: [{ b: Record<string, unknown> }] };
    expect(Object.getPrototypeOf(a[0].b)).toBe(Object.prototype);
    expect(a[0].b['polluted']).toBeUndefined();
    expectUnharmed(client, 0);
  });

  it('with 64-bit integers of the type that the specification names, and amqplib does not know, is read', async () => {
    const { url, queue } = given;
    const raw = closing(await RawPublisher.at(url));
    const number = Buffer.from('\x01aL\xff\xff\xff\xff\xff\xff\xff\xfe', 'latin1');
    const tableOf = (...members: Buffer[]): Buffer => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(Buffer.concat(members).length);
      return Buffer.concat([size, ...members]);
    };
    const large = Buffer.concat([Buffer.from('\x01bS\0\0\x03\xe8', 'latin1'), Buffer.alloc(1000, 'x')]);
    await raw.publish(queue, tableOf(number), Buffer.from('1'));
    await raw.publish(queue, tableOf(large, number), Buffer.from('2'));
    const { deliveries, client } = await consumed({ wire: true });
    expect(deliveries.map(({ properties }) => properties.headers?.['a'])).toEqual([-2, -2]);
    expectUnharmed(client, 0);
  });

  it('with headers nested too deeply for the stack is undecodable, and its connection survives', async () => {
    const { url, queue } = given;
    const raw = closing(await RawPublisher.at(url));
    await raw.publish(queue, nestedTable(5_000), Buffer.from('1'));
    await raw.publish(queue, nestedTable(20_000), Buffer.from('2'));
    await raw.publish(queue, nestedTable(50), Buffer.from('3'));
    // Needs our own frame decoder, whatever the mode of this run: amqplib would drop the connection.
    const { deliveries, undecodable, client } = await consumed({ wire: true });
    expect(deliveries.map(({ content }) => content.toString())).toEqual(['3']);
    expect(undecodable.map((cause) => (cause as Error).message)).toEqual(
      Array(2).fill('The headers of the message are nested more than 100 deep. They were not read.'),
    );
    expectUnharmed(client, 2);
  });
});
