import { CancelNotice } from '../../../lib/consumer/cancel-notice';
import { ChannelError } from '../../../lib/errors';
import type { ConsumeRequest } from '../../../lib/transport/transport';

const OLD = { product: 'RabbitMQ', version: '3.13.7' };
const ARGUMENT = 'x-cancel-on-ha-failover';
const REQUEST: ConsumeRequest = {
  queue: 'orders',
  tag: 'me',
  prefetch: 7,
  noAck: false,
  exclusive: false,
  arguments: { 'x-mine': 1 },
};
const WITH_ARGUMENT = { ...REQUEST, arguments: { 'x-mine': 1, [ARGUMENT]: true } };
const WITH_PREFETCH = { ...REQUEST, channelPrefetch: 65_535 };
const REFUSAL = new ChannelError(`406 PRECONDITION_FAILED - invalid arg '${ARGUMENT}' for queue 'orders'`, {
  replyCode: 406,
});

describe('the request of a consumer that is not moved to another queue', () => {
  it.each<[string, string | undefined, object]>([
    ['a queue of an unknown type', undefined, WITH_ARGUMENT],
    ['a classic queue', 'classic', WITH_ARGUMENT],
    ['a quorum queue', 'quorum', WITH_PREFETCH],
    ['a stream', 'stream', REQUEST],
  ])('before RabbitMQ 4.0, from %s', (_, type, expected) => {
    expect(new CancelNotice(type).on(OLD, REQUEST)).toEqual(expected);
  });

  it.each([
    ['RabbitMQ 4.0', { product: 'RabbitMQ', version: '4.0.0' }],
    ['another product', { product: 'LavinMQ', version: '2.1.0' }],
    ['a broker that does not say what it is', undefined],
  ])('is left as it is at %s', (_, broker) => {
    expect(new CancelNotice(undefined).on(broker, REQUEST)).toBe(REQUEST);
  });

  it.each([true, false])('keeps what the user has set: %s', (value) => {
    const own = { ...REQUEST, arguments: { [ARGUMENT]: value } };
    expect(new CancelNotice(undefined).on(OLD, own)).toBe(own);
  });
});

describe('a refusal of the argument', () => {
  it('changes the request until the queue is gone, which may come back with another type', () => {
    const notice = new CancelNotice(undefined);
    expect(notice.refusedBy(REFUSAL)).toBe(true);
    expect(notice.on(OLD, REQUEST)).toEqual(WITH_PREFETCH);
    expect(notice.refusedBy(REFUSAL)).toBe(false);
    notice.queueGone();
    expect(notice.on(OLD, REQUEST)).toEqual(WITH_ARGUMENT);
  });

  it('of a queue whose type is known is final, and so is the type', () => {
    const notice = new CancelNotice('quorum');
    expect(notice.refusedBy(REFUSAL)).toBe(false);
    notice.queueGone();
    expect(notice.on(OLD, REQUEST)).toEqual(WITH_PREFETCH);
  });

  it.each([
    ['another refusal', new ChannelError('406 PRECONDITION_FAILED - unknown delivery tag 1', { replyCode: 406 })],
    ['another reply code', new ChannelError(`403 ACCESS_REFUSED - ${ARGUMENT}`, { replyCode: 403 })],
    ['no refusal of a channel', new Error(`406 ${ARGUMENT}`)],
  ])('is not seen in %s', (_, error) => {
    const notice = new CancelNotice(undefined);
    expect(notice.refusedBy(error)).toBe(false);
    expect(notice.on(OLD, REQUEST)).toEqual(WITH_ARGUMENT);
  });
});
