import { OptionsError } from 'instance-queue';
import { resolveStart, startArgument } from '../../../../lib/consumer/stream/stream-start';

const stream = { queueName: 'events', spec: { name: 'events', type: 'stream' }, noAck: false } as const;
const START = 'x-stream-offset';

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
  });

  it('goes to the broker in seconds, if it is a time', () => {
    expect(startArgument(new Date(1_700_000_000_999))).toEqual({ [START]: { '!': 'timestamp', value: 1_700_000_000 } });
    expect(startArgument(7)).toEqual({ [START]: 7 });
  });
});
