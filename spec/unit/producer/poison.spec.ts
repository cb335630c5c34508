import { channelRefused } from '../../../lib/amqp/amqp-errors';
import { culprits, type Suspect } from '../../../lib/producer/poison';

/** What the broker closes a channel with, as amqplib tells it. */
const closed = (code: number, name: string, sentence: string): ReturnType<typeof channelRefused> =>
  channelRefused(
    'The broker closed the channel',
    Object.assign(new Error(`Channel closed by server: ${String(code)} (${name}) with message "${sentence}"`), {
      code,
    }),
  );
const to = (exchange: string, size = 1, userId?: string): Suspect => ({ exchange, size, userId });

const MISSING = closed(404, 'NOT-FOUND', "NOT_FOUND - no exchange 'nowhere' in vhost '/'");
const FORBIDDEN = closed(
  403,
  'ACCESS-REFUSED',
  "ACCESS_REFUSED - write access to exchange 'secret' in vhost '/' refused for user 'guest'",
);

describe('the messages that made the broker close the channel', () => {
  it('are all those to an exchange that is missing', () => {
    const [a, b, c, d] = [to(''), to('nowhere'), to('orders'), to('nowhere')];
    expect(culprits([a, b, c, d], MISSING)).toEqual([b, d]);
    expect(culprits([a, b, c, d], MISSING)[0]).toBe(b);
  });

  it('is the only one to an exchange that may not be written to', () => {
    const [a, b] = [to('orders'), to('secret')];
    expect(culprits([a, b], FORBIDDEN)).toEqual([b]);
  });

  it('is nobody known when several went to an exchange that may not be written to: it can depend on the routing key', () => {
    expect(culprits([to('orders'), to('secret'), to('secret')], FORBIDDEN)).toEqual([]);
  });

  it.each([
    ["ACCESS_REFUSED - access to exchange 'secret' in vhost '/' refused for user 'guest'"],
    ["ACCESS_REFUSED - write access to topic 'k' in exchange 'secret' in vhost '/' refused for user 'guest'"],
    ["ACCESS_REFUSED - cannot publish to internal exchange 'secret' in vhost '/'"],
  ])('is known by the exchange in whatever sentence names it: %s', (sentence) => {
    const guilty = to('secret');
    expect(culprits([to('orders'), guilty, to('')], closed(403, 'ACCESS-REFUSED', sentence))).toEqual([guilty]);
  });

  it('is known behind the name that brokers give the default exchange', () => {
    const guilty = to('');
    const refused = closed(
      403,
      'ACCESS-REFUSED',
      "ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for user 'guest'",
    );
    expect(culprits([to('orders'), guilty], refused)).toEqual([guilty]);
  });

  it('is the oldest of the size that is too large', () => {
    const [small, large, other] = [to('', 5), to('', 20_000_000), to('', 20_000_000)];
    const refused = closed(
      406,
      'PRECONDITION-FAILED',
      'PRECONDITION_FAILED - message size 20000000 is larger than configured max size 16777216',
    );
    expect(culprits([small, large, other], refused)).toEqual([large]);
    expect(culprits([small, large, other], refused)[0]).toBe(large);
  });

  it('is the oldest with the user id of somebody else', () => {
    const [own, foreign] = [to('', 1, 'guest'), to('', 1, 'alice')];
    const refused = closed(
      406,
      'PRECONDITION-FAILED',
      "PRECONDITION_FAILED - user_id property set to 'alice' but authenticated user was 'guest'",
    );
    expect(culprits([own, to(''), foreign, to('', 1, 'alice')], refused)).toEqual([foreign]);
  });

  it('is the only one in flight, whatever the sentence', () => {
    const only = to('orders');
    expect(culprits([only], closed(406, 'PRECONDITION-FAILED', 'PRECONDITION_FAILED - something new'))).toEqual([only]);
  });

  it('is nobody known when the sentence tells nothing, or of nothing in flight', () => {
    const inFlight = [to('orders'), to('')];
    expect(
      culprits(inFlight, closed(406, 'PRECONDITION-FAILED', "PRECONDITION_FAILED - invalid expiration 'x'")),
    ).toEqual([]);
    expect(culprits(inFlight, MISSING)).toEqual([]);
    expect(culprits([], MISSING)).toEqual([]);
  });

  it('are not mistaken for those to an exchange whose name only begins alike', () => {
    expect(culprits([to('now'), to('nowhere else')], MISSING)).toEqual([]);
  });
});
