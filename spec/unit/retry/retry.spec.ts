import { PublishError, type Message, type RetryOptions } from 'instance-queue';
import { isSpent, retry, type Forward } from '../../../lib/retry/retry';
import { fakeDelivery } from '../../support/fake-delivery';
import { TestChannel } from '../../support/test-channel';

const FAILED = { 'x-instance-queue-queue': 'orders' };
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
  ])('refuses %p with a sentence', (options, sentence) => {
    expect(() => retry(options as RetryOptions, never)).toThrow(sentence);
  });
});

describe('the policy', () => {
  const failing =
    (code: 'PUBLISH_CLOSED' | 'PUBLISH_INVALID'): Forward =>
    () =>
      Promise.reject(new PublishError(code, 'm', 'no'));

  it('releases the message, once its consumer drains, when the producing connection is closed for good', async () => {
    const policy = retry({ attempts: 2, delay: 1 }, failing('PUBLISH_CLOSED'));
    const delivery = fakeDelivery('a');
    const settlement = policy(new Error('x'), delivery);
    delivery.drain();
    expect(await settlement).toBe('release');
  });

  it('rejects when no copy can ever be published', async () => {
    const policy = retry({ attempts: 2, delay: 1 }, failing('PUBLISH_INVALID'));
    await expect(policy(new Error('x'), fakeDelivery('a'))).rejects.toMatchObject({ code: 'PUBLISH_INVALID' });
  });

  it.each<[RetryOptions, number, number | undefined]>([
    [{ attempts: 4, delay: 5 }, 0, 5],
    [{ attempts: 4, delay: [1, 2] }, 0, 1],
    [{ attempts: 4, delay: [1, 2] }, 1, 2],
    [{ attempts: 4, delay: [1, 2] }, 2, 2],
    [{ attempts: 4, delay: [1, 2] }, 3, undefined],
    [{ attempts: 1, delay: 5 }, 0, undefined],
    [{ attempts: Infinity, delay: 0 }, 1000, 0],
  ])('of %j lets a message wait that failed %d times before: %p ms', async (options, failures, delay) => {
    const copies: unknown[] = [];
    const policy = retry<string>(options, (_copy, { into }) => {
      copies.push(into?.messageTtl);
      return Promise.resolve();
    });
    // Also one whose headers nobody has written.
    const headers = failures === 0 ? undefined : { ...FAILED, 'x-instance-queue-attempts': failures };
    const message = new TestChannel().deliver('a', { headers });
    const settlement = await policy(new Error('x'), message);
    expect([settlement, copies]).toEqual(delay === undefined ? ['reject', []] : ['ack', [delay]]);
    expect(isSpent(message)).toBe(delay === undefined);
  });

  it('lets a message that came on no channel wait in a copy, wherever it was to wait', async () => {
    const kinds: unknown[] = [];
    const forward: Forward = (_copy, { into }) => {
      kinds.push(into?.type);
      return Promise.resolve();
    };
    const policy = retry<string>({ attempts: 2, delay: 5, waitIn: 'queue' }, forward);
    const message = { ...new TestChannel().deliver('a'), properties: {} };
    expect([await policy(new Error('x'), message), kinds]).toEqual(['ack', ['quorum']]);
  });

  it('moves a message that has no attempt left with what it died of, and no more with what it died of before', async () => {
    const copies: Parameters<Forward>[] = [];
    const forward: Forward = (...given) => {
      copies.push(given);
      return Promise.resolve();
    };
    const policy = retry({ attempts: 1, delay: 1, then: { exchange: 'failed', routingKey: 'key' } }, forward);
    const headers = {
      mine: 1,
      CC: ['a'],
      BCC: ['b'],
      'x-instance-queue-moved-x-death': [],
      'x-death': [{ queue: 'before', reason: 'rejected' }],
    };
    expect(await policy(new RangeError('no'), new TestChannel().deliver('a', { headers }))).toBe('ack');
    const [[copy, { into }]] = copies as [Parameters<Forward>];
    expect([copy.route, into]).toEqual([{ exchange: 'failed', routingKey: 'key' }, undefined]);
    expect(copy.properties.headers).toEqual({
      mine: 1,
      'x-instance-queue-attempts': 1,
      'x-instance-queue-queue': 'orders',
      'x-instance-queue-first-failed': expect.any(String) as string,
      'x-instance-queue-exchange': '',
      'x-instance-queue-routing-key': 'orders',
      'x-instance-queue-error-name': 'RangeError',
      'x-instance-queue-error-message': 'no',
      'x-instance-queue-spent': true,
      'x-instance-queue-x-death': [{ queue: 'before', reason: 'rejected' }],
    });
  });

  it('refuses a message from a stream', async () => {
    const message = { ...fakeDelivery('a'), properties: { headers: { 'x-stream-offset': 5 } } };
    const policy = retry({ attempts: 2, delay: 1 }, never);
    await expect(policy(new Error('x'), message as Message<string>)).rejects.toThrow(/`orders` is a stream/);
    const again = { ...message, offset: 5, redelivered: true };
    await expect(policy(new Error('x'), again as Message<string>)).rejects.toThrow(/is a stream/);
  });
});
