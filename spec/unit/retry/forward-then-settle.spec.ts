import { ConnectionError, PublishError } from '../../../lib/errors';
import { forwardThenSettle } from '../../../lib/retry/forward-then-settle';
import { TestChannel } from '../../support/test-channel';
import { rejection } from '../../support/waiting';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const closed = (): Promise<void> => Promise.reject(new ConnectionError('CONNECTION_CLOSED', 'host', 'closed'));

/** A settlement that is under way: `outcome` once it has one. */
function settling(channel: TestChannel, forward: (signal: AbortSignal) => Promise<void>) {
  const settled = { outcome: undefined as unknown };
  const delivery = channel.deliver('a');
  void forwardThenSettle(delivery, forward, 'ack').then((outcome) => (settled.outcome = outcome));
  return settled;
}

describe('a message that is published elsewhere before it is settled', () => {
  it.each(['ack', 'reject'] as const)('is settled when that is done, as it should be: %s', async (by) => {
    const channel = new TestChannel();
    let published = (): void => undefined;
    const settled = forwardThenSettle(
      channel.deliver('a'),
      (signal) => {
        expect([signal.aborted, channel.watchers]).toEqual([false, 1]);
        return new Promise((resolve) => (published = resolve));
      },
      by,
    );
    published();
    expect([await settled, channel.watchers]).toEqual([by, 0]);
  });

  it('is not published any more once its channel has ended, since it comes again', async () => {
    const channel = new TestChannel();
    const settled = settling(
      channel,
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    channel.drain();
    await turn();
    expect(settled.outcome).toBeUndefined();
    channel.end();
    await turn();
    expect(settled.outcome).toBe('requeue');
  });

  it('whose channel has ended before is not published at all', async () => {
    const channel = new TestChannel();
    const delivery = channel.deliver('a');
    channel.end();
    const forward = jest.fn((signal: AbortSignal) =>
      signal.aborted ? Promise.reject(new Error('no')) : Promise.resolve(),
    );
    expect(await forwardThenSettle(delivery, forward, 'ack')).toBe('requeue');
  });

  it('rejects if it can never be published', async () => {
    const channel = new TestChannel();
    const error = new PublishError('PUBLISH_INVALID', 'm', 'no room');
    expect(await rejection(forwardThenSettle(channel.deliver('a'), () => Promise.reject(error), 'ack'))).toBe(error);
    expect(channel.watchers).toBe(0);
  });

  it.each([
    ['drains', (channel: TestChannel) => channel.drain()],
    ['ends', (channel: TestChannel) => channel.end()],
  ])('is held, when nothing is published any more, until its consumer %s', async (_how, happen) => {
    const channel = new TestChannel();
    const settled = settling(channel, closed);
    await turn();
    expect(settled.outcome).toBeUndefined();
    happen(channel);
    await turn();
    expect(settled.outcome).toBe('release');
  });

  it.each([
    ['drains already', (channel: TestChannel) => void (channel.draining = true)],
    ['has ended, with an error of another kind', (channel: TestChannel) => void (channel.ended = true)],
  ])('is not held where its consumer %s', async (_how, prepare) => {
    const channel = new TestChannel();
    const delivery = channel.deliver('a');
    prepare(channel);
    const outcome = await forwardThenSettle(delivery, closed, 'ack');
    expect(outcome).toBe(channel.ended ? 'requeue' : 'release');
  });

  it('that came on no channel is released at once, or settled', async () => {
    const message = { ...new TestChannel().deliver('a'), properties: {} };
    expect(await forwardThenSettle(message, () => Promise.resolve(), 'ack')).toBe('ack');
    expect(await forwardThenSettle(message, closed, 'ack')).toBe('release');
  });
});
