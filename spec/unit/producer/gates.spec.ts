import { BehaviorSubject, Subject } from 'rxjs';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import { Counters } from '../../../lib/counters';
import { ChannelError } from '../../../lib/errors';
import type { PumpEvents } from '../../../lib/producer/producer-events';
import { Pump } from '../../../lib/producer/pump';
import type { Verdict } from '../../../lib/transport/transport';
import { lost, onLink, sendOf } from '../../support/publishing-channel';

/** What a test can do to a channel, its link and its connection. */
function pumping({ maxInFlight = 10, declare = false } = {}) {
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
    outbox: { limit: 100, bytes: 1e6, overflow: 'wait' },
  } as const;
  const pump = new Pump(core as unknown as ConnectionCore, options, events satisfies PumpEvents);
  const { publishing, link } = onLink({ check: () => 'there' });
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
    const { channel, confirm, pump, push, replaced } = ready();
    const nack = (number: number): void => {
      channel.verdicts$.next({ kind: 'nack', number, multiple: false });
    };
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
