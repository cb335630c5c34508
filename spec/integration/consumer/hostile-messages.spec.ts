import type { Options } from 'amqplib';
import { InstanceQueue, handle, json, type Delivery, type InstanceQueueOptions } from 'instance-queue';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
import { RawPublisher, nestedTable } from '../../support/raw-publisher';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
let side: Bystander;
let queue: string;
beforeEach(async () => {
  side = closing(await Bystander.at(url));
  queue = await side.queue();
});
afterEach(closeAll);

const JSON_TYPE = { contentType: 'application/json' };
const POLLUTING = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}';
const BAD_UTF8 = Buffer.from([0x22, 0xc3, 0x28, 0xff, 0x22]);

interface Seen {
  readonly deliveries: readonly Delivery<unknown>[];
  /** The messages of the causes of what was undecodable. */
  readonly undecodable: readonly unknown[];
}
/** What a consumer makes of all that lies in the queue; the last one there says 'the end'. */
async function consumed(options: Partial<InstanceQueueOptions> = {}): Promise<Seen & { queue: InstanceQueue }> {
  const front = closing(new InstanceQueue({ url, ...options }));
  const consumer = front.consumer({ queue, prefetch: 100 });
  const deliveries: Delivery<unknown>[] = [];
  const undecodable: unknown[] = [];
  consumer.on('undecodable', (_, { cause }) => undecodable.push(cause));
  await side.put(queue, 'the end');
  consumer.deliveries$.subscribe((delivery) => {
    deliveries.push(delivery);
    delivery.ack();
  });
  await eventually(() => deliveries.at(-1)?.body === 'the end');
  return { deliveries: deliveries.slice(0, -1), undecodable, queue: front };
}
const unhurt = (front: InstanceQueue, undecodable: number): void => {
  expect(front.state.consumer).toMatchObject({ status: 'connected', epoch: 1 });
  expect(front.metrics).toMatchObject({ undecodable, reopens: 0, lost: 0 });
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Readonly<Record<string, unknown>>)['polluted']).toBeUndefined();
};

describe('a hostile message', () => {
  it.each<[string, Buffer, Options.Publish, 'delivered' | 'undecodable']>([
    ['JSON 100 000 deep', Buffer.from('['.repeat(100_000) + ']'.repeat(100_000)), JSON_TYPE, 'delivered'],
    ['JSON with the keys of prototypes', Buffer.from(POLLUTING), JSON_TYPE, 'delivered'],
    ['16 MiB', Buffer.alloc(16 * 1024 * 1024, 'x'), { contentType: 'text/plain' }, 'delivered'],
    ['JSON said to be compressed', Buffer.from('{}'), { ...JSON_TYPE, contentEncoding: 'gzip' }, 'delivered'],
    ['JSON that is none', Buffer.from('{"secret'), JSON_TYPE, 'undecodable'],
    ['JSON of no length', Buffer.alloc(0), JSON_TYPE, 'undecodable'],
    ['JSON that is no UTF-8', BAD_UTF8, JSON_TYPE, 'undecodable'],
    ['text that is no UTF-8', BAD_UTF8, { contentType: 'text/plain' }, 'undecodable'],
  ])('of %s is settled once, and the next one comes', async (_, content, options, outcome) => {
    await side.raw('', queue, [content], options);
    const { deliveries, undecodable, queue: front } = await consumed();
    expect([deliveries.length, undecodable.length]).toEqual(outcome === 'delivered' ? [1, 0] : [0, 1]);
    unhurt(front, undecodable.length);
    await front.close();
    expect((await side.count(queue)).ready).toBe(0);
  });

  it('that breaks the parser of its codec is undecodable', async () => {
    const deep = Buffer.from('['.repeat(50_000) + ']'.repeat(50_000));
    const depth = (value: unknown): number => (Array.isArray(value) && value.length > 0 ? 1 + depth(value[0]) : 0);
    await side.raw('', queue, [deep], JSON_TYPE);
    const front = closing(new InstanceQueue(url));
    const bodies: unknown[] = [];
    front
      .consume({ queue, codec: json((value) => (typeof value === 'string' ? value : depth(value))) })
      .pipe(handle(({ body }) => void bodies.push(body)))
      .subscribe();
    await side.put(queue, 'the end');
    await eventually(() => bodies.length > 0);
    expect(bodies).toEqual(['the end']);
    unhurt(front, 1);
  });

  it.each<[string, unknown, number]>([
    ['text', 'abc', 0],
    ['a negative number', -5, 0],
    ['a fraction', 1.5, 0],
    ['more than can be counted', { '!': 'double', value: 1e300 }, 0],
    ['a table', { a: 1 }, 0],
    ['nothing', null, 0],
    ['a number', 7, 7],
  ])('that claims a delivery count of %s has one that can be counted with', async (_, claim, count) => {
    await side.raw('', queue, [Buffer.from('1')], { ...JSON_TYPE, headers: { 'x-delivery-count': claim } });
    const { deliveries } = await consumed();
    expect(deliveries.map(({ deliveryCount }) => deliveryCount)).toEqual([count]);
  });

  it.each([2 ** 62, Number.MAX_SAFE_INTEGER])('of a time that no Date can hold (%d s) has none', async (timestamp) => {
    await side.raw('', queue, [Buffer.from('1')], { ...JSON_TYPE, timestamp });
    const { deliveries } = await consumed();
    expect(deliveries).toHaveLength(1);
    expect(deliveries[0]!.properties).not.toHaveProperty('timestamp');
  });

  it('cannot give its headers another prototype, at any depth', async () => {
    const table: unknown = JSON.parse(`{"a":[{"b":${POLLUTING}}],"__proto__":{"x-delivery-count":7,"polluted":true}}`);
    await side.raw('', queue, [Buffer.from('1')], { ...JSON_TYPE, headers: table });
    const { deliveries, queue: front } = await consumed();
    const [{ properties, deliveryCount } = { properties: {}, deliveryCount: -1 }] = deliveries;
    expect(deliveryCount).toBe(0);
    expect(Object.getPrototypeOf(properties.headers)).toBe(Object.prototype);
    expect(properties.headers?.['polluted']).toBeUndefined();
    const { a } = properties.headers as { a: [{ b: Record<string, unknown> }] };
    expect(Object.getPrototypeOf(a[0].b)).toBe(Object.prototype);
    expect(a[0].b['polluted']).toBeUndefined();
    unhurt(front, 0);
  });

  it('with headers too deep for any stack is undecodable, and does not take the connection with it', async () => {
    const raw = closing(await RawPublisher.at(url));
    await raw.publish(queue, nestedTable(5_000), Buffer.from('1'));
    await raw.publish(queue, nestedTable(20_000), Buffer.from('2'));
    await raw.publish(queue, nestedTable(50), Buffer.from('3'));
    // Looking at frames before amqplib does is what the wire room is for; without it amqplib drops the connection.
    const { deliveries, undecodable, queue: front } = await consumed({ wire: true });
    expect(deliveries.map(({ content }) => content.toString())).toEqual(['3']);
    expect(undecodable.map((cause) => (cause as Error).message)).toEqual(
      Array(2).fill('The headers of the message are nested more than 100 deep. They were not read.'),
    );
    unhurt(front, 2);
  });
});
