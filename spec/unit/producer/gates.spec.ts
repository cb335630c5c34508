import { BehaviorSubject, Subject } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Counters } from '../../../lib/counters';
import { ChannelError, type PublishError } from '../../../lib/errors';
import type { PumpEvents } from '../../../lib/producer/producer-events';
import { Pump, type PumpOptions } from '../../../lib/producer/pump';
import type { Verdict } from '../../../lib/transport/transport';
import { lost, onLink, refused, sendOf, type Answers } from '../../support/publishing-channel';

interface Options {
  readonly maxInFlight?: number;
  readonly declare?: boolean;
  readonly answers?: Answers;
  readonly outbox?: Partial<PumpOptions['outbox']>;
}

/** What a test can do to a channel, its link and its connection. */
function pumping({ maxInFlight = 10, declare = false, outbox = {}, answers }: Options = {}) {
  const blocked$ = new BehaviorSubject<string | undefined>(undefined);
  const counters = new Counters();
  const log = { debug: jest.fn(), warn: jest.fn(), error: jest.fn() };
  const core = { blocked$, blocked: undefined as string | undefined, log };
  const events = {
    confirmed: jest.fn(),
    resent: jest.fn(),
    returned: jest.fn(),
    dropped: jest.fn(),
    declined: jest.fn(),
  };
  const options = {
    counters,
    declare,
    topology: () => ({}),
    maxInFlight,
    onUnknown: 'resend',
    onNack: 'resend',
    outbox: { limit: 100, bytes: 1e6, overflow: 'wait', ...outbox },
  } as const;
  const pump = new Pump(core as unknown as ConnectionCore, options, events satisfies PumpEvents);
  const { publishing, link } = onLink(answers ?? { check: () => 'there' });
  const published: string[] = [];
  const expirations: number[] = [];
  const channel = {
    writable: true,
    ended: false,
    drain$: new Subject<void>(),
    verdicts$: new Subject<Verdict>(),
    publish: ({ messageId }: { readonly messageId: string }, left?: number): boolean => {
      if (left !== undefined) expirations.push(left);
      return published.push(messageId) > 0;
    },
  };
  Object.assign(publishing.channel, channel);
  Object.assign(link, { frameMax: 4096 });
  const push = (messageId: string, queue = 'orders'): void => {
    pump.push(sendOf({ queue, messageId }).entry, undefined);
    pump.pump();
  };
  return {
    core,
    counters,
    events,
    pump,
    publishing,
    link,
    published,
    expirations,
    push,
    replaced: jest.fn(),
    channel: publishing.channel as unknown as typeof channel,
    block: (reason: string | undefined): void => {
      core.blocked = reason;
      blocked$.next(reason);
    },
    confirm: (number: number): void => {
      channel.verdicts$.next({ kind: 'ack', number, multiple: false });
    },
    nack: (number: number): void => {
      channel.verdicts$.next({ kind: 'nack', number, multiple: false });
    },
  };
}
type Given = ReturnType<typeof pumping>;
const ready = (options?: Parameters<typeof pumping>[0]): Given => {
  const given = pumping(options);
  given.pump.opened(given.publishing, given.replaced);
  return given;
};

describe('a producer sends nothing', () => {
  it('before its channel is open, and then all that waits, in order', () => {
    const { pump, publishing, published, push } = pumping();
    for (const id of ['a', 'b']) push(id);
    expect(published).toEqual([]);
    pump.opened(publishing, () => undefined);
    expect(published).toEqual(['a', 'b']);
  });

  it.each<[string, (given: Given) => void, (given: Given) => void]>([
    [
      'its socket is full',
      ({ channel }) => (channel.writable = false),
      ({ channel }) => {
        channel.writable = true;
        channel.drain$.next();
      },
    ],
    [
      'the broker blocks it',
      ({ block }) => {
        block('low on disk');
      },
      ({ block }) => {
        block(undefined);
      },
    ],
    [
      'a queue is being declared',
      ({ publishing }) => (publishing.ensuring = 'others'),
      ({ publishing, pump }) => {
        publishing.ensuring = undefined;
        pump.pump();
      },
    ],
    [
      'as many messages are in flight as may be',
      ({ push }) => {
        for (const id of ['1', '2', '3']) push(id);
      },
      ({ confirm }) => {
        confirm(2);
      },
    ],
  ])('while %s, and goes on behind that', (_when, close, open) => {
    const given = ready({ maxInFlight: 3 });
    close(given);
    const before = given.published.length;
    given.push('a');
    expect(given.published).toHaveLength(before);
    open(given);
    expect(given.published.slice(before)).toEqual(['a']);
  });

  it.each<[string, (given: Given) => void]>([
    ['its channel has ended', ({ channel }) => (channel.ended = true)],
    ['its connection is lost', ({ link }) => (link.lost = lost())],
    ['another channel is to come', ({ pump, publishing }) => pump.closed(publishing, lost())],
  ])('once %s, whatever else happens', (_when, end) => {
    const given = ready();
    end(given);
    given.push('a');
    given.channel.drain$.next();
    given.block('a');
    given.block(undefined);
    expect(given.published).toEqual([]);
    expect(given.pump.gauges).toMatchObject({ queued: 1, unconfirmed: 0 });
  });

  it('more on a channel that ends while a message is written to it, but all on the next', () => {
    const given = pumping();
    const { pump, publishing, published, push, channel } = given;
    channel.publish = ({ messageId }) => {
      published.push(messageId);
      pump.closed(publishing, new ChannelError('It is gone.'));
      return false;
    };
    for (const id of ['a', 'b']) push(id);
    pump.opened(publishing, given.replaced);
    expect(published).toEqual(['a']);
    expect(pump.gauges).toMatchObject({ queued: 2, unconfirmed: 0 });
  });

  it('beside a message that may be the one over which its last channel was closed', () => {
    const { confirm, link, pump, publishing, published, push } = ready();
    for (const id of ['a', 'b', 'c']) push(id);
    pump.closed(publishing, refused(406));
    published.splice(0);
    pump.opened(publishing, () => undefined);
    for (const [number, sent] of [
      [4, ['a']],
      [5, ['a', 'b']],
      [6, ['a', 'b', 'c']],
    ] as const) {
      push(`behind ${String(number)}`);
      expect([published, link.lost]).toEqual([sent, undefined]);
      confirm(number);
    }
    expect(published.slice(3)).toEqual(['behind 4', 'behind 5', 'behind 6']);
  });

  it('ahead of a message whose queue is being looked for', async () => {
    const { published, push, publishing } = ready({ declare: true });
    publishing.ensured.add('others');
    push('a', 'orders');
    push('b', 'others');
    expect([published, publishing.ensuring]).toEqual([[], 'orders']);
    await new Promise(setImmediate);
    expect(published).toEqual(['a', 'b']);
    expect([...publishing.ensured]).toEqual(['others', 'orders']);
  });
});

describe('a message that cannot be written', () => {
  it('is refused with the reason, and holds up no other', () => {
    const { channel, pump, publishing, published } = ready();
    const { publish } = channel;
    const reason = new TypeError('too exotic');
    channel.publish = (message) => {
      if (message.messageId === 'exotic') throw reason;
      return publish(message);
    };
    const exotic = sendOf({ queue: 'orders', messageId: 'exotic' });
    const next = sendOf({ queue: 'orders', messageId: 'next' });
    for (const { entry } of [exotic, next]) pump.push(entry, undefined);
    pump.pump();
    expect(exotic.settled).toMatchObject([
      {
        code: 'PUBLISH_INVALID',
        messageId: 'exotic',
        message: 'This message cannot be encoded: too exotic',
        cause: reason,
        maybeDelivered: false,
      },
    ]);
    expect(published).toEqual(['next']);
    expect([publishing.inFlight.size, next.settled]).toEqual([1, []]);
  });
});

describe('a message that is not sent', () => {
  it('because it has expired holds up no other', () => {
    const { block, published, pump, push } = ready();
    block('low on disk');
    const { entry, settled } = sendOf({ queue: 'orders', messageId: 'late', expiration: 100 });
    pump.push(entry, undefined);
    push('behind it');
    jest.spyOn(performance, 'now').mockReturnValue(entry.since + 100);
    block(undefined);
    jest.restoreAllMocks();
    expect(published).toEqual(['behind it']);
    expect(settled).toMatchObject([{ code: 'PUBLISH_TIMEOUT', messageId: 'late' }]);
  });

  it('because its delay cannot be declared for now waits for another attempt, and holds up no other', async () => {
    jest.useFakeTimers();
    let refusing = true;
    const declare = (): void => {
      if (refusing) throw refused(541);
    };
    const { pump, published, push } = ready({ answers: { declare, check: () => 'there' } });
    const { entry, settled } = sendOf({ queue: 'orders', messageId: 'delayed', delay: 3_600_000 });
    pump.push(entry, undefined);
    push('behind it');
    await jest.advanceTimersByTimeAsync(10);
    expect([published, settled]).toEqual([['behind it'], []]);
    expect(pump.gauges).toEqual({ queued: 1, unconfirmed: 1, bytes: entry.bytes });
    refusing = false;
    await jest.advanceTimersByTimeAsync(5000);
    expect([published, settled]).toEqual([['behind it', 'delayed'], []]);
    expect(entry.message.exchange).not.toBe('');
    pump.stop();
    jest.useRealTimers();
  });
});

describe('a message that waits for another attempt', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });
  const nacked = (outbox: NonNullable<Options['outbox']>): Given & { readonly bytes: number } => {
    const given = ready({ outbox });
    const { entry } = sendOf({ queue: 'orders', messageId: 'nacked' });
    given.pump.push(entry, undefined);
    given.pump.pump();
    given.nack(1);
    expect(given.pump.gauges).toEqual({ queued: 1, unconfirmed: 0, bytes: entry.bytes });
    return { ...given, bytes: entry.bytes };
  };

  it.each<[string, (bytes: number) => NonNullable<Options['outbox']>, number]>([
    ['a limit of 1', () => ({ limit: 1 }), 0],
    ['a limit of 3', () => ({ limit: 3 }), 2],
    ['room for its own bytes', (bytes) => ({ bytes }), 0],
    ['room for twice its bytes', (bytes) => ({ bytes: 2 * bytes }), 1],
    ['room for a byte less than three times its bytes', (bytes) => ({ bytes: 3 * bytes - 1 }), 1],
  ])('takes a place, and its bytes, in an outbox that rejects: %s', (_what, bounds, room) => {
    const { bytes: size } = sendOf({ queue: 'orders', messageId: 'nacked' }).entry;
    const { pump, bytes } = nacked({ overflow: 'reject', ...bounds(size) });
    const check = (count: number) => (): void => {
      pump.checkRoom('m', { bytes: count * bytes, largest: 1, count });
    };
    if (room > 0) expect(check(room)).not.toThrow();
    expect(check(room + 1)).toThrow(`The outbox is full: it holds 1 messages, ${String(bytes)} bytes`);
    pump.stop();
  });

  it('does not make an outbox refuse what may wait there', () => {
    const { pump, bytes } = nacked({ limit: 1, overflow: 'wait' });
    expect(() => {
      pump.checkRoom('m', { bytes });
    }).not.toThrow();
    pump.stop();
  });

  it('is dropped for a newer one only if no older message waits for the wire', () => {
    jest.spyOn(Math, 'random').mockReturnValue(1);
    const { block, events, nack, pump, push } = ready({ outbox: { limit: 2, overflow: 'drop-oldest' } });
    push('older', 'one');
    nack(1);
    jest.advanceTimersByTime(50);
    push('newer', 'another');
    nack(2);
    block('low on disk');
    // The older one is back in the outbox, and the newer one still waits for its time.
    jest.advanceTimersByTime(60);
    const dropped = (): unknown => events.dropped.mock.calls.flat().map((cause: PublishError) => cause.messageId);
    push('third');
    expect(dropped()).toEqual(['older']);
    push('fourth');
    expect(dropped()).toEqual(['older', 'newer']);
    pump.stop();
    jest.restoreAllMocks();
  });

  it('reached no queue if it was returned, and then the next attempt counts', () => {
    const { channel, confirm, nack, pump, published } = ready();
    const { entry, settled } = sendOf({ exchange: 'events', routingKey: 'paid', messageId: 'm' });
    pump.push(entry, undefined);
    pump.pump();
    const route = { exchange: 'events', routingKey: 'paid', messageId: 'm' };
    channel.verdicts$.next({ kind: 'return', ...route, replyCode: 312, replyText: 'NO_ROUTE' });
    nack(1);
    expect([entry.maybeDelivered, settled]).toEqual([false, []]);
    jest.advanceTimersByTime(200);
    confirm(2);
    expect([published, settled]).toEqual([['m', 'm'], [{ messageId: 'm', attempts: 2, epoch: 1 }]]);
    pump.stop();
  });
});

describe('a message that is sent again', () => {
  it('is counted, told and logged as such, and the first time it is not', () => {
    const { core, counters, events, pump, publishing, push, published, link } = ready();
    push('a');
    expect(counters).toMatchObject({ sent: 1, resent: 0 });
    expect(events.resent).not.toHaveBeenCalled();
    expect(core.log.debug).not.toHaveBeenCalled();
    pump.closed(publishing, lost());
    link.lost = undefined;
    pump.opened(publishing, () => undefined);
    expect(published).toEqual(['a', 'a']);
    expect(counters).toMatchObject({ sent: 1, resent: 1 });
    expect(events.resent.mock.calls).toEqual([['a', 2]]);
    expect(core.log.debug.mock.calls).toEqual([[{ messageId: 'a', attempt: 2, epoch: 1 }, 'resent']]);
  });
});

describe('as time passes, a channel', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each([
    [0, [100]],
    [50, [50]],
    [99.5, [1]],
    [100, []],
    [101, []],
  ])('is given what is left of the 100 ms of a message after %d ms: %p', (passed, left) => {
    const { block, expirations, events, pump } = ready();
    block('low on disk');
    const { entry, settled } = sendOf({ queue: 'orders', messageId: 'm', expiration: 100 });
    pump.push(entry, undefined);
    jest.spyOn(performance, 'now').mockReturnValue(entry.since + passed);
    block(undefined);
    expect(expirations).toEqual(left);
    expect(settled).toMatchObject(left.length > 0 ? [] : [{ code: 'PUBLISH_TIMEOUT', maybeDelivered: false }]);
    expect(events.dropped).toHaveBeenCalledTimes(1 - left.length);
    jest.restoreAllMocks();
    pump.stop();
  });

  it('is replaced once it has done nothing but nack for half a second, not earlier, and not if it confirmed in between', () => {
    const { confirm, nack, pump, push, replaced } = ready();
    for (const id of ['1', '2', '3', '4', '5']) push(id);
    nack(1);
    jest.advanceTimersByTime(300);
    confirm(2);
    nack(3);
    jest.advanceTimersByTime(499);
    nack(4);
    expect(replaced).not.toHaveBeenCalled();
    jest.advanceTimersByTime(1);
    nack(5);
    expect(replaced.mock.calls).toEqual([[new ChannelError('The channel did nothing but nack for 500 ms: replaced.')]]);
    pump.stop();
  });
});
