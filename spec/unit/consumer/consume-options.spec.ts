import { OptionsError, type ConsumeOptions } from 'instance-queue';
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
    [{ filter: { value: ['eu'] } }, 'filter.value', 'Did you mean `values`?'],
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
