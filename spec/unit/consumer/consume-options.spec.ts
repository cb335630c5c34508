import { auto, defineQueue, json, OptionsError, type ConsumeOptions, type Message } from 'instance-queue';
import { resolveConsumeOptions } from '../../../lib/consumer/consume-options';
import type { InboundMessage } from '../../../lib/transport/transport';

/** Options as they come from untyped callers. */
const untyped = (given: object): ConsumeOptions => given as ConsumeOptions;

function refusalOf(given: object): Pick<OptionsError, 'option' | 'message'> {
  try {
    resolveConsumeOptions(untyped(given));
  } catch (error) {
    if (error instanceof OptionsError) return error;
    throw error;
  }
  throw new Error('Expected a refusal.');
}

const arrived = (headers: InboundMessage['headers']): InboundMessage => ({
  content: Buffer.from('body'),
  deliveryTag: 1,
  redelivered: false,
  exchange: '',
  routingKey: '',
  contentType: undefined,
  contentEncoding: undefined,
  headers,
  properties: headers ? { headers } : {},
  unreadable: undefined,
});

describe('a stream filter', () => {
  it.each<[ConsumeOptions['filter'], readonly string[], boolean]>([
    ['eu', ['eu'], false],
    [['eu', 'us'], ['eu', 'us'], false],
    [{ values: ['eu'], matchUnfiltered: true }, ['eu'], true],
  ])('is asked of the broker: %j', (filter, values, unfiltered) => {
    const { arguments: args, offset } = resolveConsumeOptions(
      untyped({ queue: 'q', filter, arguments: { 'x-mine': 1 } }),
    );
    expect(args).toEqual({ 'x-mine': 1, 'x-stream-filter': values, 'x-stream-match-unfiltered': unfiltered });
    // What has a filter is a stream.
    expect(offset).toBe('next');
  });

  it('decides by the header of a message, or its absence', () => {
    const { filter } = resolveConsumeOptions({ queue: 'q', filter: ['eu', 'us'] });
    const lenient = resolveConsumeOptions({ queue: 'q', filter: { values: ['eu'], matchUnfiltered: true } }).filter;
    const passes = (value: unknown): readonly unknown[] => {
      const message = arrived(value === undefined ? undefined : { 'x-stream-filter-value': value });
      return [filter?.(message, 'q'), lenient?.(message, 'q')];
    };
    expect(passes('eu')).toEqual([true, true]);
    expect(passes('us')).toEqual([true, false]);
    expect(passes('asia')).toEqual([false, false]);
    expect(passes(undefined)).toEqual([false, true]);
  });

  it('is asked for beside `noAck: false` as well', () => {
    const { arguments: args } = resolveConsumeOptions(untyped({ queue: 'q', filter: 'eu', noAck: false }));
    expect(args).toMatchObject({ 'x-stream-filter': ['eu'] });
  });

  it('is none without the option', () => {
    expect(resolveConsumeOptions({ queue: 'q' })).not.toHaveProperty('filter');
    expect(resolveConsumeOptions({ queue: 'q' })).toMatchObject({ arguments: {} });
  });

  it.each<[object, string, string]>([
    [{ filter: '' }, 'filter', 'a filter value, a list of them, or an object with `values`'],
    [{ filter: 5 }, 'filter', 'a filter value'],
    [{ filter: [] }, 'filter.values', 'at least one filter value'],
    [{ filter: ['eu', 7] }, 'filter.values[1]', 'a string of 1 to 255 bytes of UTF-8, got `7` (number)'],
    [{ filter: {} }, 'filter.values', 'an array, got nothing'],
    [
      { filter: { value: ['eu'] } },
      'filter.value',
      'Unknown option `filter.value` for a stream filter. Did you mean `values`?',
    ],
    [{ filter: { values: ['eu'], matches: true } }, 'filter.matches', 'a function'],
    [{ filter: 'eu', arguments: { 'x-stream-filter': 'us' } }, 'arguments', 'got both'],
    [{ filter: 'eu', queue: { name: 'q', type: 'quorum' } }, 'filter', '`filter` is for streams'],
    [{ filter: 'eu', noAck: true }, 'filter', 'absent beside `noAck`'],
    [{ filter: 'eu', onUndecodable: 'requeue' }, 'onUndecodable', 'would be read again for ever'],
  ])('is refused that cannot be right: %j', (given, option, sentence) => {
    const error = refusalOf({ queue: 'q', ...given });
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });
});

it.each([['a\nb'], [{ name: 'a\nb' }]])('a queue whose name has a line break is refused: %j', (queue) => {
  expect(() => resolveConsumeOptions({ queue })).toThrow(/without line breaks/);
});

describe('a consumer timeout', () => {
  it('is asked of the broker', () => {
    for (const queue of ['q', { name: 'q' }, { name: 'q', type: 'quorum' }] as const) {
      expect(resolveConsumeOptions({ queue, consumerTimeout: 60_000 })).toMatchObject({
        arguments: { 'x-consumer-timeout': 60_000 },
      });
    }
  });

  it.each<[object, string, string]>([
    [{ consumerTimeout: 0 }, 'consumerTimeout', 'an integer from 1'],
    [{ consumerTimeout: 5, queue: { name: 'q', type: 'classic' } }, 'consumerTimeout', 'this is a classic queue'],
    [{ consumerTimeout: 5, queue: { name: 'q', type: 'stream' } }, 'consumerTimeout', 'this is a stream queue'],
    [{ consumerTimeout: 5, offset: 'first' }, 'consumerTimeout', 'this is a stream queue'],
    [{ consumerTimeout: 5, noAck: true }, 'consumerTimeout', 'absent beside `noAck`'],
    [{ consumerTimeout: 5, arguments: { 'x-consumer-timeout': 6 } }, 'arguments', 'got both'],
  ])('is refused that cannot be right: %j', (given, option, sentence) => {
    const error = refusalOf({ queue: 'q', ...given });
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });
});

describe('the options of a consumer', () => {
  const spec = { name: 'q', type: 'quorum' } as const;

  it('have their defaults, in place of `undefined`, too', () => {
    const defaults = {
      queueName: 'q',
      spec: undefined,
      declare: true,
      topology: {},
      codec: auto,
      codecs: undefined,
      prefetch: 20,
      tagPrefix: 'instance-queue',
      noAck: false,
      exclusive: false,
      arguments: {},
      onUndecodable: 'reject',
      checkAfter: 60_000,
    };
    expect(resolveConsumeOptions({ queue: 'q' })).toMatchObject(defaults);
    const undefinedOnes = { prefetch: undefined, tagPrefix: undefined, declare: undefined, topology: undefined };
    expect(resolveConsumeOptions(untyped({ queue: 'q', ...undefinedOnes, exclusive: undefined }))).toMatchObject(
      defaults,
    );
  });

  it('are as they are given', () => {
    const given = {
      declare: false,
      prefetch: 1,
      tagPrefix: '',
      exclusive: true,
      priority: -1,
      arguments: { 'x-mine': 1 },
      onUndecodable: 'requeue',
      checkAfter: 0,
      codec: json(),
    } as const;
    expect(resolveConsumeOptions({ queue: 'q', ...given })).toMatchObject(given);
    expect(resolveConsumeOptions({ queue: 'q', noAck: true })).toMatchObject({ noAck: true });
  });

  it.each<[object, string, string]>([
    [{ queue: undefined }, 'queue', 'or an object, got nothing'],
    [{ queue: 5 }, 'queue', 'got `5` (number)'],
    [{ queue: { name: 'q', type: 'odd' } }, 'queue.type', 'got `odd` (string)'],
    [{ declare: 'no' }, 'declare', 'true or false'],
    [{ topology: null }, 'topology', 'a topology, got `null`'],
    [{ topology: 'orders' }, 'topology', 'a topology, got `orders` (string)'],
    [{ topology: { queues: [{ name: 5 }] } }, 'topology.queues[0].name', 'got `5` (number)'],
    [{ codec: {} }, 'codec', 'a codec'],
    [{ prefetch: 0 }, 'prefetch', 'an integer from 1 to 65535'],
    [{ prefetch: 65_536 }, 'prefetch', 'an integer from 1 to 65535'],
    [{ tagPrefix: 'x'.repeat(219) }, 'tagPrefix', 'at most 218 bytes'],
    [{ exclusive: 1 }, 'exclusive', 'true or false'],
    [{ priority: -2_147_483_649 }, 'priority', 'an integer from -2147483648 to 2147483647'],
    [{ priority: 2_147_483_648 }, 'priority', 'an integer from -2147483648 to 2147483647'],
    [{ arguments: [] }, 'arguments', 'got an array'],
    [{ onUndecodable: 'drop' }, 'onUndecodable', "one of 'reject', 'requeue'"],
    [{ checkAfter: -1 }, 'checkAfter', 'a number of milliseconds from 0'],
    [{ offset: 'soon' }, 'offset', "'first', 'last', 'next'"],
    [{ onOffset: 5 }, 'onOffset', 'a function'],
    [{ consumerTimeout: 4_294_967_296 }, 'consumerTimeout', 'an integer from 1 to 4294967295'],
    [{ pause: 5 }, 'pause', 'an Observable'],
    [{ until: 5 }, 'until', 'an Observable'],
    [{ noAck: 'yes' }, 'noAck', 'true or false'],
    [{ prefetsch: 5 }, 'prefetsch', 'Unknown option `prefetsch` for consume(). Did you mean `prefetch`?'],
    [{ noAck: true, prefetch: 5 }, 'prefetch', 'absent beside `noAck`: without acks nothing is settled, got `5`'],
    [{ noAck: true, onUndecodable: 'reject' }, 'onUndecodable', 'absent beside `noAck`'],
    [{ noAck: true, offset: 'first' }, 'offset', 'absent beside `noAck`'],
    [{ noAck: true, onOffset: () => undefined }, 'onOffset', 'absent beside `noAck`'],
  ])('are refused that cannot be right: %j', (given, option, sentence) => {
    const error = refusalOf({ queue: 'q', ...given });
    expect(error.option).toBe(option);
    expect(error.message).toContain(sentence);
  });

  it.each([
    { tagPrefix: 'x'.repeat(218) },
    { prefetch: 65_535 },
    { priority: -2_147_483_648 },
    { priority: 2_147_483_647 },
    { consumerTimeout: 4_294_967_295 },
    { noAck: true, prefetch: undefined },
    { noAck: false, prefetch: 5 },
  ])('are taken at the edge of what can be: %j', (given) => {
    expect(resolveConsumeOptions(untyped({ queue: 'q', ...given }))).toMatchObject({ queueName: 'q' });
  });

  it.each<[string, ConsumeOptions, object | undefined]>([
    ['a name that the topology has no entry for', { queue: 'other', topology: { queues: [spec] } }, undefined],
    ['a name that the topology has an entry for', { queue: 'q', topology: { queues: [spec] } }, spec],
    ['a spec, whatever the topology has', { queue: { name: 'q' }, topology: { queues: [spec] } }, { name: 'q' }],
    ['no name, which the broker gives', { queue: '' }, { name: '', autoDelete: true }],
    ['no name in a spec', { queue: { name: '', exclusive: true } }, { name: '', autoDelete: true, exclusive: true }],
    ['no name in a spec that stays', { queue: { name: '', autoDelete: false } }, { name: '', autoDelete: false }],
  ])('mean by their queue: %s', (_what, given, meant) => {
    expect(resolveConsumeOptions(given).spec).toEqual(meant);
  });

  it('leave how bodies are read to the contract of the queue, alone', () => {
    const body = json();
    expect(resolveConsumeOptions({ queue: defineQueue({ name: 'q', body }) })).toMatchObject({
      codec: body,
      codecs: undefined,
    });
    expect(refusalOf({ queue: defineQueue({ name: 'q', body }), codec: json() }).message).toContain('`codec`');
  });

  it('of a consumer with a timeout keep their other arguments', () => {
    const given = { queue: 'q', consumerTimeout: 5, arguments: { 'x-mine': 1 } };
    expect(resolveConsumeOptions(given).arguments).toEqual({ 'x-mine': 1, 'x-consumer-timeout': 5 });
    expect(resolveConsumeOptions({ queue: 'q', arguments: { 'x-mine': 1 } }).arguments).toEqual({ 'x-mine': 1 });
  });
});

describe('a filter of its own', () => {
  it('decides about each message, which it sees with its bytes, its queue and its properties', () => {
    const seen: Message<Buffer>[] = [];
    const matches = (message: Message<Buffer>): boolean => {
      seen.push(message);
      return message.content.length > 3;
    };
    const { filter } = resolveConsumeOptions({ queue: 'q', filter: { values: ['eu'], matches } });
    expect([filter?.(arrived({ mine: 1 }), 'log'), seen.length]).toEqual([true, 1]);
    expect(filter?.({ ...arrived(undefined), content: Buffer.from('no') }, 'log')).toBe(false);
    expect(seen[0]).toMatchObject({
      body: Buffer.from('body'),
      queue: 'log',
      properties: { headers: { mine: 1 } },
    });
  });
});
