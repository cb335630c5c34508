import {
  defineExchange,
  defineQueue,
  InstanceQueue,
  json,
  text,
  type InstanceQueueOptions,
  type LogEntry,
} from 'instance-queue';
import { FakeInstanceQueue, type FakeInstanceQueueOptions } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const TEXT = 'text/plain; charset=utf-8';

const given = (options: FakeInstanceQueueOptions = {}): FakeInstanceQueue => closing(new FakeInstanceQueue(options));
const queueOf = ({ broker }: FakeInstanceQueue, name: string) => broker.queues.find((one) => one.name === name);

describe('an InstanceQueue', () => {
  it('is given a URL, or options with one', async () => {
    const [bare, optional] = [new InstanceQueue('amqp://host:1'), new InstanceQueue({ url: 'amqp://host:1' })];
    for (const queue of [bare, optional]) {
      expect(queue.state.consumer).toEqual({ status: 'disconnected' });
      await queue.close();
    }
    expect(() => new InstanceQueue('http://host')).toThrow('`url`');
    expect(() => new InstanceQueue({} as InstanceQueueOptions)).toThrow('Expected `url`');
  });

  it.each<[object, string]>([
    [{ topology: 5 }, 'Expected `topology` to be an object'],
    [{ topology: { queues: [{}] } }, 'Expected `topology.queues[0].name`'],
    [{ names: 'known' }, "Expected `names` to be one of 'open', 'declared'"],
    [{ producer: 5 }, 'Expected `producer` to be an object'],
    [{ producer: { timeout: 0 } }, 'Expected `producer.timeout`'],
    [{ producer: { topology: {} } }, 'Unknown option `producer.topology` for `producer`'],
    [{ consumer: 5 }, 'Expected `consumer` to be an object'],
    [{ consumer: { prefetch: 0 } }, 'Expected `consumer.prefetch`'],
    [{ consumer: { queue: 'q' } }, 'Unknown option `consumer.queue` for `consumer`'],
    [{ downAfter: -1 }, 'Expected `downAfter`'],
    [{ downafter: 1 }, 'Unknown option `downafter` for an InstanceQueue. Did you mean `downAfter`?'],
  ])('refuses options that cannot be right: %j', (options, sentence) => {
    expect(() => new InstanceQueue({ url: 'amqp://host', ...options })).toThrow(sentence);
  });
});

describe('what consumes and publishes for an InstanceQueue', () => {
  it('has its topology and its defaults, and may have others', async () => {
    const queue = given({
      topology: { queues: [{ name: 'orders', type: 'quorum' }] },
      consumer: { prefetch: 2, tagPrefix: 'shop' },
      producer: { codec: text },
    });
    const consumer = queue.consumer({ queue: 'orders' });
    const other = queue.consumer({ queue: 'others', tagPrefix: 'own', topology: { queues: [{ name: 'extra' }] } });
    const { values } = collect(consumer.deliveries$);
    collect(other.deliveries$);
    await Promise.all([queue.send({ queue: 'orders', body: 'plain' }), later()]);
    await Promise.all([queue.producer().send({ queue: 'orders', body: 'two' }), later()]);
    await Promise.all([queue.producer({ codec: json() }).send({ queue: 'orders', body: 'three' }), later()]);
    expect(values.map(({ properties }) => properties.contentType)).toEqual(Array(2).fill(TEXT));
    values[0]!.ack();
    await later();
    expect(values[2]?.properties.contentType).toBe('application/json');
    expect([consumer.state, other.state]).toMatchObject([
      { tag: expect.stringMatching(/^shop-/) as string },
      { tag: expect.stringMatching(/^own-/) as string },
    ]);
    expect(queueOf(queue, 'orders')?.arguments).toMatchObject({ 'x-queue-type': 'quorum' });
    expect(queueOf(queue, 'extra')).toBeDefined();
  });

  it('declares a queue that it sends to as a consumer of the same InstanceQueue would', async () => {
    const queue = given();
    void queue.consume({ queue: { name: 'orders', type: 'quorum' } });
    await Promise.all([queue.send({ queue: 'orders', body: 1 }), queue.send({ queue: 'others', body: 1 }), later()]);
    expect(queueOf(queue, 'orders')?.arguments).toMatchObject({ 'x-queue-type': 'quorum' });
    expect(queueOf(queue, 'others')?.arguments).not.toMatchObject({ 'x-queue-type': 'quorum' });
  });

  it('replies as the contract of its queue says, or else as its producer writes', async () => {
    const queue = given({ producer: { codec: text } });
    const asked = defineQueue({ name: 'asked', body: text, reply: json() });
    const plain = defineQueue({ name: 'plain', body: text });
    queue.respond({ queue: asked }, () => ({ id: 1 })).subscribe();
    queue.respond({ queue: plain }, () => 'done').subscribe();
    await later();
    const replies = Promise.all([
      queue.request({ queue: asked, body: 'x' }),
      queue.request({ queue: plain, body: 'x' }),
      later(),
    ]);
    const [first, second] = await replies;
    expect([first.body, first.properties.contentType]).toEqual([{ id: 1 }, 'application/json']);
    expect([second.body, second.properties.contentType]).toEqual(['done', TEXT]);
  });

  it('shares one channel for all it publishes for consumers', async () => {
    const queue = given();
    for (const name of ['a', 'b']) queue.respond({ queue: name }, () => 'done').subscribe();
    await later();
    await Promise.all([queue.request({ queue: 'a', body: 1 }), queue.request({ queue: 'b', body: 1 }), later()]);
    // One of the requests, and one of the replies.
    expect(queue.health.producers).toHaveLength(2);
  });
});

describe('a name that nearly is a declared one', () => {
  it.each([
    [{ name: 'shop' }, { connection: 'shop' }],
    [{}, {}],
  ])('is warned of under the name of its InstanceQueue, if it has one: %j', (options, fields) => {
    const lines: LogEntry[] = [];
    const logger = (line: LogEntry): void => void lines.push(line);
    const queue = given({ ...options, logger, topology: { queues: [{ name: 'orders' }] } });
    void queue.consume({ queue: 'oredrs' });
    expect(lines).toMatchObject([{ level: 'warn', message: expect.stringContaining('misspelt?') as string }]);
    expect(lines[0]!.fields).toEqual({ ...fields, queue: 'oredrs', declared: 'orders' });
  });
});

describe("an InstanceQueue with names: 'declared'", () => {
  const declared = () => given({ names: 'declared', topology: { queues: [{ name: 'orders' }] } });
  const option = (act: () => unknown): unknown => {
    try {
      act();
    } catch (error) {
      return (error as { readonly option?: string }).option;
    }
    return undefined;
  };

  it('refuses the name of any other queue, and says which option has it', async () => {
    const queue = declared();
    expect(option(() => queue.consume({ queue: 'order' }))).toBe('queue');
    expect(option(() => queue.consumer({ queue: 'order' }))).toBe('queue');
    expect(option(() => queue.respond({ queue: 'order' }, () => 1))).toBe('queue');
    expect(option(() => queue.retry({ attempts: 1, delay: 1, then: { queue: 'failed' } }))).toBe('then');
    expect(option(() => queue.retry({ attempts: 1, delay: 1, then: { queue: 'orders' } }))).toBeUndefined();
    expect(option(() => queue.retry({ attempts: 1, delay: 1, then: 'reject' }))).toBeUndefined();
    expect(await outcomes([queue.send({ queue: 'order', body: 1 })])).toEqual(['PUBLISH_INVALID']);
    expect(await rejection(queue.request({ queue: 'order', body: 1, messageId: 'm' }))).toMatchObject({
      code: 'PUBLISH_INVALID',
      messageId: 'm',
    });
    const topology = { bindings: [{ exchange: 'e', queue: 'q' }] };
    expect(option(() => new FakeInstanceQueue({ names: 'declared', topology }))).toBe('topology.bindings[0].exchange');
  });

  it('knows the queue and the exchange to which a request goes by their contracts', async () => {
    const queue = declared();
    const [work, events] = [
      defineQueue({ name: 'work', body: json(), reply: json() }),
      defineExchange({ name: 'events', type: 'fanout', messages: { '': json() } }),
    ];
    const asked = [
      queue.request({ queue: work, body: 1 }, { timeout: 5 }),
      queue.request({ exchange: events, routingKey: '', body: 1 }, { timeout: 5 }),
    ];
    await Promise.all([outcomes(asked), later(50)]);
    expect(option(() => queue.consume({ queue: 'work' }))).toBeUndefined();
    expect(option(() => queue.retry({ attempts: 1, delay: 1, then: { exchange: 'events' } }))).toBeUndefined();
    const lost = defineQueue({ name: 'lost', body: json(), deadLetter: { queue: 'nowhere' } });
    expect(await rejection(queue.request({ queue: lost, body: 1 }))).toMatchObject({ option: 'queue.deadLetter' });
  });

  it('knows what a consumer, a producer or a partitioned queue declares', async () => {
    const queue = declared();
    void queue.consume({ queue: { name: 'invoices' } });
    void queue.consume({ queue: 'orders', topology: { queues: [{ name: 'refunds' }] } });
    queue.producer({ topology: { queues: [{ name: 'letters' }] } });
    queue.partitioned({ name: 'parts', partitions: 2 });
    for (const name of ['invoices', 'refunds', 'letters', 'parts.0'])
      expect(option(() => queue.consume({ queue: name }))).toBeUndefined();
    await Promise.all([queue.send({ queue: 'invoices', body: 1 }), later()]);
    expect(queue.broker.messages('invoices')).toHaveLength(1);
  });
});
