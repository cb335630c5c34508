import { defineExchange, json, PublishError, type Topology } from 'instance-queue';
import { ChannelError, ConnectionError } from '../../../lib/errors';
import { LostInFlight, rejectUnknown, RouteDeclarations } from '../../../lib/producer/publishing-channel';
import { type PendingSend } from '../../../lib/producer/pending-send';
import { refused, lost, MISSING, sendOf, onLink, core } from '../../support/publishing-channel';

describe('the messages in flight on a channel that ended', () => {
  /** These were in flight on a channel that ended like that; `lost`: with its connection. */
  const given = (declared: Topology = {}) => {
    const { core: connection, log } = core();
    const judging = new LostInFlight(connection, () => declared);
    const on = onLink();
    const end = (
      sends: readonly { readonly entry: PendingSend }[],
      error: Parameters<LostInFlight['judge']>[1],
      { of, accepted = true }: { readonly of?: object; readonly accepted?: boolean } = {},
    ) => {
      const { link, publishing } = on;
      if (error instanceof ConnectionError) link.lost = error;
      if (of) publishing.exchanges.set(of, accepted);
      for (const { entry } of sends) {
        entry.attempts++;
        publishing.inFlight.add(entry);
      }
      return judging.judge(publishing, error).map(({ message }) => message.messageId);
    };
    return { end, judging, log, on };
  };
  const queued = (messageId: string) => sendOf({ queue: 'orders', messageId });
  const toEvents = (messageId: string, more?: object) =>
    sendOf({ exchange: 'events', routingKey: 'paid', messageId, ...more });

  it('are all innocent if the broker gave no reason', () => {
    const { end, judging } = given();
    const sends = [queued('a'), toEvents('b')];
    expect(end(sends, lost())).toEqual(['a', 'b']);
    expect(judging.suspecting).toBe(false);
  });

  it('is innocent, even alone, if this side closed the channel', () => {
    const { end, judging } = given();
    expect(end([queued('a')], new ChannelError('It did nothing but nack.'))).toEqual(['a']);
    expect(judging.suspecting).toBe(false);
  });

  it('are refused where the broker names them; the others are innocent, in order', () => {
    const { end, judging, log } = given();
    const [a, b, c, d] = [queued('a'), toEvents('b'), queued('c'), toEvents('d')];
    expect(end([a, b, c, d], MISSING)).toEqual(['a', 'c']);
    for (const [send, messageId] of [
      [b, 'b'],
      [d, 'd'],
    ] as const) {
      expect(send.settled).toMatchObject([
        {
          code: 'PUBLISH_REFUSED',
          messageId,
          message: `The broker refused the message sent to exchange \`events\`. ${MISSING.message}`,
          cause: MISSING,
          replyCode: 404,
          maybeDelivered: false,
        },
      ]);
    }
    expect(log.warn.mock.calls).toEqual(
      ['b', 'd'].map((messageId) => [
        { messageId, exchange: 'events', routingKey: 'paid', err: MISSING },
        'message refused',
      ]),
    );
    expect(judging.suspecting).toBe(false);
  });

  it.each<[string, object, string]>([
    ['size', { body: 'x'.repeat(18) }, 'PRECONDITION_FAILED - message size 20 is larger than configured max size 16'],
    [
      'user id',
      { userId: 'alice' },
      "PRECONDITION_FAILED - user_id property set to 'alice' but authenticated user was 'guest'",
    ],
  ])('is refused where the broker names its %s; the others are innocent', (_what, more, sentence) => {
    const { end, judging } = given();
    const guilty = sendOf({ queue: 'orders', messageId: 'b', ...more });
    expect(end([queued('a'), guilty, queued('c')], refused(406, sentence))).toEqual(['a', 'c']);
    expect(guilty.settled).toMatchObject([{ code: 'PUBLISH_REFUSED', messageId: 'b', replyCode: 406 }]);
    expect(judging.suspecting).toBe(false);
  });

  it('is refused, by its queue, if it was alone', () => {
    const { end } = given();
    const alone = queued('a');
    const error = refused(406);
    expect(end([alone], error)).toEqual([]);
    const message = `The broker refused the message sent to queue \`orders\`. ${error.message}`;
    expect(alone.settled).toMatchObject([{ code: 'PUBLISH_REFUSED', message, replyCode: 406 }]);
  });

  it('are all suspects if it names none, until each is settled', () => {
    const { end, judging } = given();
    const [a, b] = [queued('a'), queued('b')];
    expect(judging.suspecting).toBe(false);
    expect(end([a, b], refused(406))).toEqual(['a', 'b']);
    expect(judging.suspecting).toBe(true);
    a.entry.confirm(1);
    expect(judging.suspecting).toBe(true);
    // The culprit is alone the next time.
    expect(end([b], refused(406))).toEqual([]);
    expect(b.settled).toMatchObject([{ code: 'PUBLISH_REFUSED', maybeDelivered: true }]);
    expect(judging.suspecting).toBe(false);
  });

  it('are not suspects if they were given up, but the guilt of one that was stays with it', () => {
    const { end, judging, log } = given();
    const [a, b] = [queued('a'), queued('b')];
    b.entry.reject(new PublishError('PUBLISH_ABORTED', 'b', 'Enough.'));
    expect(end([a, b], refused(406))).toEqual(['a']);
    expect(judging.suspecting).toBe(true);
    a.entry.confirm(1);
    expect(judging.suspecting).toBe(false);
    const [c, d] = [queued('c'), toEvents('d')];
    d.entry.reject(new PublishError('PUBLISH_ABORTED', 'd', 'Enough.'));
    expect(end([c, d], MISSING)).toEqual(['c']);
    expect(d.settled).toMatchObject([{ code: 'PUBLISH_ABORTED' }]);
    expect(judging.suspecting).toBe(false);
    expect(log.warn).not.toHaveBeenCalled();
  });

  it.each([501, 502, 503, 504, 505, 540])(
    'of a connection that the broker closed over a frame (%i): one that was alone is refused the second time',
    (replyCode) => {
      const { end, judging } = given();
      const alone = queued('a');
      expect(end([alone], lost(replyCode))).toEqual(['a']);
      expect(judging.suspecting).toBe(true);
      expect(end([alone], lost(replyCode))).toEqual([]);
      expect(alone.settled).toMatchObject([{ code: 'PUBLISH_REFUSED', replyCode, maybeDelivered: true }]);
    },
  );

  it.each([320, 530, 541])('of a connection that the broker closed otherwise (%i) are innocent', (replyCode) => {
    const { end, judging } = given();
    const alone = queued('a');
    for (let i = 0; i < 3; i++) expect(end([alone], lost(replyCode))).toEqual(['a']);
    expect(judging.suspecting).toBe(false);
  });

  it.each<[string, Topology, string[]]>([
    ['declares: sent again', { exchanges: [{ name: 'events', type: 'topic' }] }, ['a']],
    ['declares passively: refused', { exchanges: [{ name: 'events', type: 'topic', passive: true }] }, []],
    ['does not declare: refused', { exchanges: [{ name: 'others', type: 'topic' }] }, []],
    ['has no exchanges: refused', {}, []],
  ])('to a missing exchange that the topology %s', (_, topology, innocent) => {
    const { end } = given(topology);
    expect(end([toEvents('a')], MISSING)).toEqual(innocent);
  });

  it('to an exchange of the topology that refuses them for another reason are refused', () => {
    const { end } = given({ exchanges: [{ name: 'events', type: 'topic' }] });
    expect(end([toEvents('a')], refused(403, "ACCESS_REFUSED - access to exchange 'events' in vhost '/'"))).toEqual([]);
  });

  it.each([
    ['declared', {}, true, ['a']],
    ['could not declare', {}, false, []],
    ['only checks', { passive: true }, true, []],
  ])('to a missing exchange of a contract that the producer %s', (_, more, accepted, innocent) => {
    const { end } = given();
    const contract = defineExchange({ name: 'events', type: 'topic', ...more, messages: { paid: json() } });
    expect(end([toEvents('a', { exchange: contract })], MISSING, { of: contract, accepted })).toEqual(innocent);
  });

  it('to a missing exchange of delays are sent again, once, and the exchange is declared again', async () => {
    const { end, on } = given();
    const routes = new RouteDeclarations(core().core, () => ({}));
    const other = toEvents('b', { delay: 3_600_000 }).entry.message;
    await routes.ensureDelay(on.publishing, other);
    expect(routes.ensureDelay(on.publishing, other)).toBeUndefined();
    const delayed = toEvents('a', { delay: 3_600_000 });
    const { message } = delayed.entry;
    message.dress(message.delayed!.wire(message.delayed!.plan, false));
    const missing = refused(404, `NOT_FOUND - no exchange '${message.exchange}' in vhost '/'`);
    expect(end([delayed], missing)).toEqual(['a']);
    expect(routes.ensureDelay(on.publishing, other)).toBeDefined();
    expect(end([delayed], missing)).toEqual([]);
    const text = `The broker refused the message sent to exchange \`events\`. ${missing.message}`;
    expect(delayed.settled).toMatchObject([{ code: 'PUBLISH_REFUSED', message: text }]);
  });
});

test('a message whose channel was lost may have been delivered', () => {
  const { entry, settled } = sendOf({ queue: 'orders', messageId: 'm' });
  const cause = lost();
  rejectUnknown(entry, cause);
  const message = `The channel was lost before the broker confirmed the message; it may have it. ${cause.message}`;
  expect(settled).toMatchObject([{ code: 'PUBLISH_UNKNOWN', messageId: 'm', message, cause, maybeDelivered: true }]);
});
