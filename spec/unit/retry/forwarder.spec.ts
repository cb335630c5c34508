import { BehaviorSubject } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { ConnectionError, PublishError, type ErrorCode } from '../../../lib/errors';
import { Forwarder, type Forwarded, type ForwardOptions } from '../../../lib/retry/forwarder';
import { waitQueue } from '../../../lib/retry/wait-queues';
import { channelRefused } from '../../../lib/transport/link-errors';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const MINUTE = 60_000;
const INTO = waitQueue('orders', 1000, 'classic');
const COPY: Forwarded = {
  route: { exchange: 'events', routingKey: 'order.paid' },
  content: Buffer.from('{}'),
  properties: { messageId: 'm', persistent: true },
};

const failure = (code: ErrorCode = 'PUBLISH_UNKNOWN', retryable = true): PublishError =>
  Object.assign(new PublishError('PUBLISH_UNKNOWN', 'm', 'It failed.', { maybeDelivered: true }), { code, retryable });
const refused = (replyCode: number) =>
  channelRefused('Cannot declare', new Error('refused'), { replyCode, text: 'NO' });

/** A forwarder on a link and a producer that do as they are asked, unless a test says otherwise. */
function given() {
  const newLink = () => ({ lost: false, declare: jest.fn(() => Promise.resolve()) });
  const up$ = new BehaviorSubject<{ readonly link: ReturnType<typeof newLink> } | undefined>({ link: newLink() });
  const send = jest.fn((_message: object) => Promise.resolve());
  const core = {
    open: jest.fn(),
    up$,
    closedError: () => new ConnectionError('CONNECTION_CLOSED', 'host', 'It was closed.'),
    log: { warn: jest.fn(), error: jest.fn() },
    counters: { retried: 0 },
  };
  const forwarder = new Forwarder(core as unknown as ConnectionCore, { send } as never);
  const forward = (options: Partial<ForwardOptions> = {}) =>
    forwarder.forward(COPY, { signal: new AbortController().signal, ...options });
  const reconnected = () => {
    const link = newLink();
    up$.next({ link });
    return link;
  };
  return { core, forward, newLink, reconnected, send, up$, link: () => up$.value!.link };
}

describe('a copy', () => {
  it('goes where its message went, with its properties, and is no retry', async () => {
    const { core, forward, send, link } = given();
    const signal = new AbortController().signal;
    await forward({ signal });
    const message = {
      messageId: 'm',
      persistent: true,
      exchange: 'events',
      routingKey: 'order.paid',
      body: COPY.content,
    };
    expect(send.mock.calls).toEqual([[message, { signal }]]);
    expect(link().declare).not.toHaveBeenCalled();
    expect(core.counters.retried).toBe(0);
  });

  it('that waits goes into its queue by name, which is declared first, and counts as retried', async () => {
    const { core, forward, send, link } = given();
    await forward({ into: INTO });
    expect(link().declare.mock.calls).toEqual([[{}, INTO]]);
    expect(link().declare.mock.invocationCallOrder[0]).toBeLessThan(send.mock.invocationCallOrder[0]!);
    expect(send.mock.calls[0]![0]).toMatchObject({ exchange: '', routingKey: 'orders.retry.1000', body: COPY.content });
    expect(core.counters.retried).toBe(1);
  });

  it.each([
    ['warn', true],
    ['error', false],
  ] as const)('that fails is sent again, later each time, with a line of level %s', async (level, retryable) => {
    const { core, forward, send } = given();
    const err = failure('PUBLISH_RETURNED', retryable);
    for (let i = 0; i < 3; i++) send.mockRejectedValueOnce(err);
    const forwarded = forward();
    const lines = core.log[level].mock.calls;
    const waits: number[] = [];
    for (let failures = 1; failures <= 3; failures++) {
      await later(0);
      expect(send).toHaveBeenCalledTimes(failures);
      const [fields, text] = lines[failures - 1] as [{ retryIn: number }, string];
      expect(fields).toMatchObject({ err, messageId: 'm', exchange: 'events', routingKey: 'order.paid' });
      expect(text).toBe('cannot forward a message: its original stays unacked');
      waits.push(fields.retryIn);
      await later(fields.retryIn - 1);
      expect(send).toHaveBeenCalledTimes(failures);
      await later(1);
    }
    await forwarded;
    expect(send).toHaveBeenCalledTimes(4);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(100 * 2 ** i);
      expect(wait).toBeLessThanOrEqual(200 * 2 ** i);
    }
    expect(core.log[level === 'warn' ? 'error' : 'warn']).not.toHaveBeenCalled();
  });

  it.each<[string, unknown, ErrorCode[]]>([
    ['PUBLISH_INVALID', failure('PUBLISH_INVALID'), []],
    ['PUBLISH_ABORTED', failure('PUBLISH_ABORTED'), []],
    ['PUBLISH_CLOSED', failure('PUBLISH_CLOSED'), []],
    ['CONNECTION_CLOSED', new ConnectionError('CONNECTION_CLOSED', 'host', 'It was closed.'), []],
    ['what the caller gives up on', failure('PUBLISH_RETURNED'), ['PUBLISH_NACKED', 'PUBLISH_RETURNED']],
    ['an error of another library', new TypeError('no'), []],
  ])('is given up for %s', async (_what, error, codes) => {
    const { core, forward, send } = given();
    send.mockRejectedValue(error);
    expect(await rejection(forward({ givesUp: ({ code }) => codes.includes(code) }))).toBe(error);
    expect(send).toHaveBeenCalledTimes(1);
    expect([core.log.warn.mock.calls, core.log.error.mock.calls]).toEqual([[], []]);
  });

  it('is not sent again once its original is lost, whether it fails then or waits', async () => {
    const { core, forward, send } = given();
    send.mockRejectedValue(failure());
    const [before, during] = [new AbortController(), new AbortController()];
    before.abort(new Error('lost before'));
    expect(await rejection(forward({ signal: before.signal }))).toEqual(new Error('lost before'));
    const forwarded = rejection(forward({ signal: during.signal }));
    await later(0);
    during.abort(new Error('lost meanwhile'));
    expect(await forwarded).toEqual(new Error('lost meanwhile'));
    await later(MINUTE);
    expect(send).toHaveBeenCalledTimes(2);
    expect(core.log.warn).toHaveBeenCalledTimes(1);
  });

  it('that the broker confirms when its queue may be gone before it is sent again', async () => {
    const { core, forward, send, link } = given();
    const slowly = (ms: number) => () =>
      new Promise<void>((resolve) => {
        setTimeout(resolve, ms);
      });
    send.mockImplementationOnce(slowly(541_000)).mockImplementationOnce(slowly(538_000));
    const forwarded = forward({ into: INTO });
    await later(541_000);
    const [{ err }] = core.log.warn.mock.calls[0] as [{ err: PublishError }];
    expect(err).toMatchObject({ code: 'PUBLISH_UNKNOWN', maybeDelivered: true });
    expect(err.message).toContain('queue `orders.retry.1000` could expire before its message');
    await later(540_000);
    await forwarded;
    expect(send).toHaveBeenCalledTimes(2);
    expect(link().declare).toHaveBeenCalledTimes(2);
  });
});

describe('a copy in a queue with a short lease', () => {
  it.each([
    [740, 1],
    [760, 2],
  ])('may be confirmed when a quarter of that is left beyond its delay: %d ms, sent %d times', async (ms, times) => {
    const { forward, send } = given();
    send.mockImplementationOnce(
      () =>
        new Promise<void>((resolve) => {
          setTimeout(resolve, ms);
        }),
    );
    const forwarded = forward({ into: { ...INTO, messageTtl: 400, expires: 1400 } });
    await later(3000);
    await forwarded;
    expect(send).toHaveBeenCalledTimes(times);
  });
});

describe('the queue in which copies wait', () => {
  it('is declared once for all that come at once, and again when half of its lease has passed', async () => {
    const { forward, link } = given();
    await Promise.all([forward({ into: INTO }), forward({ into: INTO })]);
    await later(299_999);
    await forward({ into: INTO });
    expect(link().declare).toHaveBeenCalledTimes(1);
    await later(1);
    await forward({ into: INTO });
    expect(link().declare).toHaveBeenCalledTimes(2);
    await forward({ into: waitQueue('invoices', 1000, 'classic') });
    expect(link().declare).toHaveBeenCalledTimes(3);
  });

  it('that never expires is declared once', async () => {
    const { forward, link } = given();
    const into = waitQueue('orders', 1000, 'quorum');
    await forward({ into });
    await later(100 * MINUTE);
    await forward({ into });
    expect(link().declare).toHaveBeenCalledTimes(1);
  });

  it('is declared again on another link, and after a copy failed: it may be gone', async () => {
    const { forward, send, link, reconnected } = given();
    await forward({ into: INTO });
    const next = reconnected();
    await forward({ into: INTO });
    expect(next.declare).toHaveBeenCalledTimes(1);
    send.mockRejectedValueOnce(failure('PUBLISH_RETURNED'));
    const forwarded = forward({ into: INTO });
    await later(1000);
    await forwarded;
    expect(link().declare).toHaveBeenCalledTimes(2);
  });

  it('is taken as there where this user may not declare it', async () => {
    const { forward, send, link } = given();
    link().declare.mockRejectedValue(refused(403));
    await forward({ into: INTO });
    await later(100 * MINUTE);
    await forward({ into: INTO });
    expect(link().declare).toHaveBeenCalledTimes(1);
    expect(send).toHaveBeenCalledTimes(2);
  });

  it('that is refused holds up its copies, which try again', async () => {
    const { core, forward, send, link } = given();
    link().declare.mockRejectedValueOnce(refused(406));
    const forwarded = forward({ into: INTO });
    await later(0);
    expect(send).not.toHaveBeenCalled();
    expect(core.log.error).toHaveBeenCalledTimes(1);
    await later(1000);
    await forwarded;
    expect([link().declare.mock.calls.length, send.mock.calls.length]).toEqual([2, 1]);
  });

  it('waits for a link that is not lost, opens one, and gives up when there will be none', async () => {
    const { core, forward, newLink, up$, send } = given();
    const lost = { ...newLink(), lost: true };
    up$.next({ link: lost });
    const forwarded = forward({ into: INTO });
    await later(MINUTE);
    up$.next(undefined);
    expect(core.open).toHaveBeenCalledTimes(1);
    expect([lost.declare.mock.calls.length, send.mock.calls.length]).toEqual([0, 0]);
    up$.next({ link: newLink() });
    await forwarded;
    up$.next(undefined);
    const last = rejection(forward({ into: INTO }));
    up$.complete();
    expect(await last).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('is not waited for when the original is lost meanwhile', async () => {
    const { forward, send, link } = given();
    link().declare.mockReturnValue(new Promise(() => undefined));
    const aborting = new AbortController();
    const forwarded = rejection(forward({ into: INTO, signal: aborting.signal }));
    await later(0);
    aborting.abort(new Error('lost'));
    expect(await forwarded).toEqual(new Error('lost'));
    expect(send).not.toHaveBeenCalled();
  });
});
