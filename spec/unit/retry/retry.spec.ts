import { PublishError, type Message, type RetryOptions } from 'instance-queue';
import { retry, type Forward } from '../../../lib/retry/retry';
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

  it('refuses a message from a stream', async () => {
    const message = { ...fakeDelivery('a'), properties: { headers: { 'x-stream-offset': 5 } } };
    const policy = retry({ attempts: 2, delay: 1 }, never);
    await expect(policy(new Error('x'), message as Message<string>)).rejects.toThrow(/`orders` is a stream/);
  });
});
