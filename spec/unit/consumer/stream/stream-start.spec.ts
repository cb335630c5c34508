import { OptionsError } from 'instance-queue';
import { resolveStart, startArgument, streamStart } from '../../../../lib/consumer/stream/stream-start';

const stream = { queueName: 'events', spec: { name: 'events', type: 'stream' }, noAck: false } as const;
const START = 'x-stream-offset';

const refusedOption = (act: () => unknown): string | undefined => {
  try {
    act();
  } catch (error) {
    return error instanceof OptionsError ? error.option : undefined;
  }
  return undefined;
};

describe('where a consumer starts in a stream', () => {
  it.each([
    ['a position', 5, 5],
    ['a word', 'last', 'last'],
    ['a timestamp, in seconds', { '!': 'timestamp', value: 1_700_000_000 }, new Date(1_700_000_000_000)],
  ])('may come as %s among its arguments, beside others', (_what, argument, offset) => {
    const given = { arguments: { [START]: argument, other: 1 } };
    expect(resolveStart(given, stream)).toEqual({ offset, arguments: { other: 1 } });
  });

  it.each([[-1], ['somewhere'], [{ '!': 'timestamp', value: 'now' }]])('is not %p', (argument) => {
    const resolve = (): unknown => resolveStart({ arguments: { [START]: argument } }, stream);
    expect(resolve).toThrow(OptionsError);
    expect(resolve).toThrow(`\`arguments.${START}\``);
  });

  it('comes once', () => {
    const resolve = (): unknown => resolveStart({ offset: 1, arguments: { [START]: 2 } }, stream);
    expect(resolve).toThrow('Expected the start in stream `events` once');
    expect(refusedOption(resolve)).toBe('arguments');
  });

  it('goes to the broker in seconds, if it is a time', () => {
    expect(startArgument(new Date(1_700_000_000_999))).toEqual({ [START]: { '!': 'timestamp', value: 1_700_000_000 } });
    expect(startArgument(7)).toEqual({ [START]: 7 });
  });

  const plain = { queueName: 'events', spec: undefined, noAck: false } as const;
  it.each<[string, Parameters<typeof resolveStart>, object]>([
    ['nothing where nothing says that it is a stream', [{}, plain], {}],
    ['nothing in a queue of another type', [{}, { ...plain, spec: { name: 'q', type: 'classic' } }], {}],
    ["at 'next', in a stream that nobody says more of", [{}, stream], { offset: 'next' }],
    [
      "at 'next' where only a callback for offsets is given",
      [{ onOffset: () => undefined }, plain],
      { offset: 'next' },
    ],
    ["at 'next' where only a filter is given", [{ filter: 'eu' }, plain], { offset: 'next' }],
    ['at an offset', [{ offset: 0 }, plain], { offset: 0 }],
    ['at an interval', [{ offset: '7D' }, plain], { offset: '7D' }],
  ])('is %s', (_what, given, expected) => {
    expect(resolveStart(...given)).toEqual(expected);
  });

  it.each<[object, string, string]>([
    [{ offset: 1 }, 'offset', '`offset` is for streams, and the spec says that it is a quorum queue.'],
    [{ onOffset: () => undefined }, 'onOffset', '`onOffset` is for streams, and the spec says'],
    [{ filter: 'eu' }, 'filter', '`filter` is for streams, and the spec says'],
    [{ arguments: { [START]: 1 } }, 'arguments', '`x-stream-offset` is for streams, and the spec says'],
  ])('is nowhere in a queue that is none: %j', (given, option, sentence) => {
    const resolve = (): unknown => resolveStart(given, { ...plain, spec: { name: 'events', type: 'quorum' } });
    expect(resolve).toThrow(`Queue \`events\`: ${sentence}`);
    expect(refusedOption(resolve)).toBe(option);
  });

  it('needs acks, and a message that cannot be read is not read again for ever', () => {
    expect(() => resolveStart({}, { ...stream, noAck: true })).toThrow(
      'RabbitMQ does not deliver from a stream without',
    );
    expect(() => resolveStart({ onUndecodable: 'requeue' }, stream)).toThrow('would be read again for ever');
    expect(resolveStart({ onUndecodable: 'requeue' }, plain)).toEqual({});
    expect(resolveStart({ onUndecodable: 'reject' }, stream)).toEqual({ offset: 'next' });
  });

  it.each([[-1], [1.5], ['soon'], [new Date(NaN)], ['7X'], [null], [{}]])('is not %p, as an option', (value) => {
    expect(streamStart(value)).toMatch(/^'first', 'last', 'next', an offset/);
  });
});
