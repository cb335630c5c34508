import { PublishError, type Message, type RetryOptions } from 'instance-queue';
import { retry, type Forward } from '../../../lib/retry/retry';
import { copyOf } from '../../../lib/retry/retry-copy';
import { historyOf } from '../../../lib/consumer/retry-history';
import { waitQueue } from '../../../lib/retry/wait-queue';
import { queueArguments } from '../../../lib/topology-arguments';
import { fakeDelivery } from '../../support/fake-delivery';

const never: Forward = () => new Promise(() => undefined);

describe('the options of retry', () => {
  it.each<[unknown, RegExp]>([
    [{ delay: 1 }, /Expected `attempts` to be an integer of at least 1, or Infinity, got nothing/],
    [{ attempts: 0, delay: 1 }, /Expected `attempts`/],
    [{ attempts: 3 }, /Expected `delay` to be an integer from 0 to 2147483647, or a list of such numbers, got nothing/],
    [{ attempts: 3, delay: -1 }, /Expected `delay`/],
    [{ attempts: 3, delay: 1.5 }, /Expected `delay`/],
    [{ attempts: 3, delay: [] }, /Expected `delay` .*, got an array/],
    [{ attempts: 3, delay: [1, -2] }, /Expected `delay\[1\]` to be an integer .*, got `-2` \(number\)/],
    [{ attempts: 3, delay: 1, then: 'drop' }, /Expected `then` to be 'reject' or a route, got `drop` \(string\)/],
    [{ attempts: 3, delay: 1, then: { queue: 'a', exchange: 'b' } }, /Expected `then` to name either/],
    [{ attempts: 3, delay: 1, waitIn: 'stream' }, /Expected `waitIn` to be one of 'classic', 'quorum'/],
    [{ attempts: 3, delay: 1, attempt: 3 }, /Unknown option `attempt` .* Did you mean `attempts`\?/],
  ])('%p are refused with a sentence', (options, sentence) => {
    expect(() => retry(options as RetryOptions, never)).toThrow(sentence);
  });
});

describe('the policy', () => {
  const failing =
    (code: 'PUBLISH_CLOSED' | 'PUBLISH_INVALID'): Forward =>
    () =>
      Promise.reject(new PublishError(code, 'm', 'no'));

  it('gives the message back when there is nobody left to publish a copy', async () => {
    const policy = retry({ attempts: 2, delay: 1 }, failing('PUBLISH_CLOSED'));
    expect(await policy(new Error('x'), fakeDelivery('a'))).toBe('release');
  });

  it('rejects when no copy can be made', async () => {
    const policy = retry({ attempts: 2, delay: 1 }, failing('PUBLISH_INVALID'));
    await expect(policy(new Error('x'), fakeDelivery('a'))).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
  });

  it('has nothing for a stream, and says so', async () => {
    const message = { ...fakeDelivery('a'), properties: { headers: { 'x-stream-offset': 5 } } };
    const policy = retry({ attempts: 2, delay: 1 }, never);
    await expect(policy(new Error('x'), message as Message<string>)).rejects.toThrow(/`orders` is a stream/);
  });
});

describe('the wait queue', () => {
  const long = 'ä'.repeat(127);
  it.each([
    ['orders', 'orders.retry.1000'],
    ['amq.gen-x', 'gen-x.retry.1000'],
    [long, expect.stringMatching(/^[\da-f]{64}\.retry\.1000$/)],
  ])('of %s has a name that may be declared', (origin, name) => {
    expect(waitQueue(origin, 1000, 'classic').name).toEqual(name);
  });

  it.each(['classic', 'quorum'] as const)('(%s) returns to its origin alone, and outlives its messages', (kind) => {
    const args = queueArguments(waitQueue('orders', 2 ** 31 - 1, kind)).arguments as Record<string, unknown>;
    expect(args).toMatchObject({
      'x-queue-type': kind,
      'x-message-ttl': 2 ** 31 - 1,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'orders',
    });
    const expires = args['x-expires'];
    if (kind === 'quorum') expect(expires).toBeUndefined();
    else expect(expires).toBeGreaterThan(2 ** 31 - 1);
    expect(Number(expires ?? 0)).toBeLessThan(2 ** 32);
  });
});

describe('what a copy says', () => {
  const failure = { attempts: 1, history: undefined, spent: false };
  const headersOf = (error: unknown): Readonly<Record<string, unknown>> =>
    copyOf(fakeDelivery('a'), { queue: 'q' }, { ...failure, error }).properties.headers ?? {};

  it('is of bounded size, whatever the error', () => {
    const headers = headersOf(Object.assign(new Error('ä😀'.repeat(10_000)), { name: 'N'.repeat(1000) }));
    expect(Array.from(String(headers['x-instance-queue-error-message']))).toHaveLength(256);
    expect(Buffer.byteLength(JSON.stringify(headers))).toBeLessThan(2000);
  });

  it('holds no credentials of a URL', () => {
    const headers = headersOf(new Error('cannot reach amqp://me:secret@host/v or https://token@api'));
    expect(headers['x-instance-queue-error-message']).toBe('cannot reach amqp://host/v or https://api');
  });

  it.each([['text'], [undefined], [null], [{ secret: 1 }], [5]])('can be told of %p, which is no error', (thrown) => {
    expect(headersOf(thrown)).toMatchObject({ 'x-instance-queue-error-name': typeof thrown });
  });
});

describe('the history', () => {
  const own = { 'x-instance-queue-attempts': 2, 'x-instance-queue-queue': 'q' };
  it.each<[string, Readonly<Record<string, unknown>> | undefined, number | undefined]>([
    ['of nothing', undefined, undefined],
    ['of a message that never failed', { mine: 1 }, undefined],
    ['of one that failed here', own, 2],
    ['of one that comes from its wait queue', { ...own, 'x-death': [{ reason: 'expired' }] }, 2],
    ['of one that failed elsewhere', { ...own, 'x-instance-queue-queue': 'other' }, undefined],
    ['of one that was moved', { ...own, 'x-instance-queue-spent': true }, undefined],
    [
      'of one that was rejected since',
      { ...own, 'x-death': [{ reason: 'rejected' }, { reason: 'expired' }] },
      undefined,
    ],
    ['with an impossible count', { ...own, 'x-instance-queue-attempts': -1 }, undefined],
    ['with a count that is none', { ...own, 'x-instance-queue-attempts': 'two' }, undefined],
    ['with a strange x-death', { ...own, 'x-death': 'x' }, 2],
  ])('%s', (_, headers, attempts) => {
    expect(historyOf(headers, 'q')?.attempts).toBe(attempts);
  });
});
