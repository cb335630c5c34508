import { PublishError, type Message } from 'instance-queue';
import { PendingRequest, type RequestCall } from '../../../lib/rpc/pending-request';
import { inbound } from '../../support/inbound-channel';
import { rejection } from '../../support/waiting';

const CALL: RequestCall = { message: { queue: 'work', body: 1 }, messageId: 'm', timeout: 1000, signal: undefined };
const answer = { body: 'done' } as Partial<Message<string>> as Message<string>;

function asking(read: () => Message<string> = () => answer) {
  const { pending, reply } = PendingRequest.promise(CALL, read);
  const cleanUp = jest.fn();
  pending.onSettled(cleanUp);
  return { pending, reply, cleanUp };
}

describe('a request', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('is settled once, by what comes first', async () => {
    const { pending, reply, cleanUp } = asking();
    expect(pending.settled).toBe(false);
    pending.answer(inbound(1));
    pending.reject(new Error('too late'));
    pending.answer(inbound(2));
    expect([await reply, pending.settled, cleanUp.mock.calls.length]).toEqual([answer, true, 1]);
    const other = asking();
    const error = new Error('first');
    other.pending.reject(error);
    other.pending.answer(inbound(1));
    expect([await rejection(other.reply), other.cleanUp.mock.calls.length]).toEqual([error, 1]);
  });

  it('rejects with what its reply says of a failure', async () => {
    const error = new RangeError('no price');
    const { pending, reply } = asking(() => {
      throw error;
    });
    pending.answer(inbound(1));
    expect(await rejection(reply)).toBe(error);
  });

  it('has an id of its own, and whole ms left, one at least', () => {
    const { pending } = asking();
    expect(pending.correlationId).not.toBe(asking().pending.correlationId);
    expect(pending.left).toBe(1000);
    jest.advanceTimersByTime(300);
    expect(pending.left).toBe(700);
    jest.advanceTimersByTime(700);
    expect(pending.left).toBe(1);
    jest.advanceTimersByTime(5000);
    expect(pending.left).toBe(1);
  });

  it('that is given up may have been worked on', async () => {
    const { pending, reply } = asking();
    const cause = new Error('cut');
    pending.giveUp('PUBLISH_UNKNOWN', 'It was lost.', cause);
    expect(await rejection(reply)).toMatchObject({
      code: 'PUBLISH_UNKNOWN',
      messageId: 'm',
      message: 'It was lost.',
      cause,
      maybeDelivered: true,
    });
  });

  it('of which an earlier attempt arrived says so, with all that the error of the later one says', async () => {
    const { pending, reply } = asking();
    pending.confirmedBefore = true;
    const cause = new Error('full');
    pending.reject(new PublishError('PUBLISH_NACKED', 'm', 'Nacked.', { cause, replyCode: 312, retryable: true }));
    expect(await rejection(reply)).toMatchObject({
      code: 'PUBLISH_NACKED',
      messageId: 'm',
      message: 'Nacked. An earlier attempt was confirmed; it may have been worked on.',
      cause,
      replyCode: 312,
      retryable: true,
      maybeDelivered: true,
    });
  });

  it.each<[string, Error]>([
    ['says so itself', new PublishError('PUBLISH_TIMEOUT', 'm', 'Late.', { maybeDelivered: true })],
    ['is of another kind', new TypeError('odd')],
  ])('of which an earlier attempt arrived keeps an error that %s', async (_what, error) => {
    const { pending, reply } = asking();
    pending.confirmedBefore = true;
    pending.reject(error);
    expect(await rejection(reply)).toBe(error);
  });

  it('of which no earlier attempt arrived keeps its error', async () => {
    const { pending, reply } = asking();
    const error = new PublishError('PUBLISH_NACKED', 'm', 'Nacked.');
    pending.reject(error);
    expect(await rejection(reply)).toBe(error);
  });
});
