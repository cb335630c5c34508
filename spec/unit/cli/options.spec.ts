import { Command, InvalidArgumentError } from 'commander';
import { EXIT, exitCodeOf, UsageError } from '../../../lib/cli/exit-codes';
import {
  count,
  type FilterOptions,
  filterOf,
  filters,
  filterWords,
  pairs,
  period,
  positive,
  seconds,
  several,
  whole,
} from '../../../lib/cli/options';
import { ChannelError, ConnectionError, ConsumerError, OptionsError, PublishError } from '../../../lib/index';

describe('the text of an option', () => {
  it.each([
    ['a period', period, '250ms', 250],
    ['a period', period, '30s', 30_000],
    ['a period', period, '15m', 900_000],
    ['a period', period, '2h', 7_200_000],
    ['a period', period, '7d', 604_800_000],
    ['a period', period, '0s', 0],
    ['a count', count, '1', 1],
    ['a count', count, 'all', Infinity],
    ['a whole number', whole, '-1', -1],
    ['a whole number', whole, '0', 0],
    ['a number above 0', positive, '0.5', 0.5],
    ['a time in seconds', seconds, '0.5', 0.5],
  ])('for %s may be', (_, parse, text, value) => {
    expect(parse(text, undefined)).toBe(value);
  });

  const PERIOD = 'Expected a number and a unit, ms, s, m, h or d: 30s, 2h, 7d.';
  const COUNT = 'Expected a whole number from 1 on, or all.';
  it.each([
    [period, PERIOD, ['', '30', 's', '1.5h', '30 s', '-1s', '1w', 'x1s', '1sx']],
    [count, COUNT, ['', '0', '-1', '1.5', 'some', 'ALL', '1e400']],
    [whole, 'Expected a whole number.', ['', ' ', '1.5', 'x', '1e400']],
    [positive, 'Expected a number above 0.', ['', '0', '-1', 'x', 'Infinity']],
    [seconds, 'Expected a number of seconds above 0.', ['', '0', '-1', 'soon', '10s', '1e7', 'Infinity']],
    [pairs, 'Expected name=value.', ['', 'name', '=value']],
  ] as const)('for %p is refused with what was expected', (parse, words, texts) => {
    for (const text of texts) {
      expect(() => parse(text, undefined)).toThrow(InvalidArgumentError);
      expect(() => parse(text, undefined)).toThrow(words);
    }
  });

  it('may be given several times', () => {
    expect(pairs('b=2=3', pairs('a=', undefined))).toEqual({ a: '', b: '2=3' });
    expect(several('b', several('a', undefined))).toEqual(['a', 'b']);
  });
});

describe('the choice of letters', () => {
  const parsed = (...args: string[]): FilterOptions =>
    filters(new Command()).parse(args, { from: 'user' }).opts<FilterOptions>();

  it('is what was given, and nothing else', () => {
    expect(filterOf(parsed())).toEqual({});
    expect(Object.keys(filterOf(parsed()))).toEqual([]);
    const all = ['--id', 'm1', '--error', 'Bad', '--reason', 'expired', '--failed-in', 'q', '--type', 't'];
    const more = ['--header', 'a=1', '--header', 'b=2', '--text', 'CH', '--older-than', '7d', '--newer-than', '30s'];
    expect(filterOf(parsed(...all, ...more))).toEqual({
      messageId: 'm1',
      error: 'Bad',
      reason: 'expired',
      queue: 'q',
      type: 't',
      headers: { a: '1', b: '2' },
      text: 'CH',
      olderThan: 604_800_000,
      newerThan: 30_000,
    });
  });

  it('in words is for a question', () => {
    expect(filterWords({})).toBe('');
    expect(filterWords({ reason: 'expired', headers: { a: '1' }, olderThan: 1000 })).toBe(
      'reason expired, headers {"a":"1"}, olderThan 1000',
    );
  });
});

describe('the exit code', () => {
  const refused = (replyCode?: number): object => (replyCode === undefined ? {} : { replyCode });
  const connection = (replyCode?: number): Error =>
    new ConnectionError('CONNECT_FAILED', 'host', 'no', refused(replyCode));
  const published = (code: 'PUBLISH_RETURNED' | 'PUBLISH_NACKED', replyCode?: number): Error =>
    new PublishError(code, 'm1', 'no', refused(replyCode));

  const lost = (cause: Error): Error => new PublishError('PUBLISH_CLOSED', 'm1', 'no', { cause });

  it.each<[string, unknown, keyof typeof EXIT]>([
    ['wrong usage', new UsageError('no'), 'usage'],
    ['a wrong option', new OptionsError('url', 'no'), 'usage'],
    ['no connection', connection(), 'unreachable'],
    ['a connection that the broker closed', connection(320), 'unreachable'],
    ['refused credentials', connection(403), 'refused'],
    ['a refused virtual host', connection(530), 'refused'],
    ['a missing permission', new ChannelError('no', refused(403)), 'forbidden'],
    ['a missing permission to publish', published('PUBLISH_NACKED', 403), 'forbidden'],
    ['no such queue', new ChannelError('no', refused(404)), 'missing'],
    ['no queue for a message', published('PUBLISH_RETURNED'), 'missing'],
    ['no exchange for a message', published('PUBLISH_NACKED', 404), 'missing'],
    ['a message that cannot be sent', new PublishError('PUBLISH_INVALID', 'm1', 'no'), 'usage'],
    ['a message without a connection', lost(connection()), 'unreachable'],
    ['a message, and credentials that are refused', lost(connection(403)), 'refused'],
    ['a message behind another error', lost(new ChannelError('no', refused(406))), 'failed'],
    ['a refused message', published('PUBLISH_NACKED'), 'failed'],
    ['another declaration', new ChannelError('no', refused(406)), 'failed'],
    ['a consumer without a queue', new ConsumerError('CONSUMER_CANCELLED', 'q', 'no', refused(404)), 'failed'],
    ['any other error', new Error('no'), 'failed'],
    ['what is no error', 'no', 'failed'],
  ])('for %s', (_, error, name) => {
    expect(exitCodeOf(error)).toBe(EXIT[name]);
  });

  it('is the same in each version', () => {
    expect(Object.entries(EXIT).join(' ')).toBe(
      'done,0 failed,1 usage,2 unreachable,3 refused,4 forbidden,5 missing,6 partly,7 interrupted,130',
    );
  });
});
