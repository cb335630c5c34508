import { BehaviorSubject, Subject, type Observable } from 'rxjs';
import type { Topology } from 'instance-queue';
import type { ConnectionCore } from '../../../lib/connection/connection-core';
import type { Up } from '../../../lib/connection/supervisor';
import { ChannelError, ConnectionError, type InstanceQueueError } from '../../../lib/errors';
import type { ProducerState } from '../../../lib/producer/producer-state';
import type { PublishingChannel } from '../../../lib/producer/publishing-channel';
import { publishingLoop, type Prepare } from '../../../lib/producer/publishing-loop';
import type { Pump } from '../../../lib/producer/pump';
import type { Link, OutboundChannel } from '../../../lib/transport/transport';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

const REOPEN = { min: 100, max: 1000, factor: 1, jitter: 0, attempts: 9, initialAttempts: 9, stableAfter: 10_000 };
const topology: Topology = { exchanges: [{ name: 'x', type: 'topic' }] };
const gone = new ChannelError('It is gone.');
const forbidden = new ChannelError('Forbidden.', { replyCode: 403 });

/** A channel that a test ends. */
class StubChannel {
  readonly #ended = new Subject<void>();
  readonly declared: Topology[] = [];
  ended = false;
  closes = 0;
  declare: (declared: Topology) => Promise<undefined> = (declared) => {
    this.declared.push(declared);
    return Promise.resolve(undefined);
  };
  get ended$(): Observable<void> {
    return this.#ended;
  }
  end(): void {
    this.ended = true;
    this.#ended.next();
  }
  close(): Promise<void> {
    this.closes++;
    return Promise.resolve();
  }
}

/** A link on which channels open as a test says. */
class StubLink {
  lost: ConnectionError | undefined;
  readonly openings: Subject<OutboundChannel>[] = [];
  openOutbound(): Observable<OutboundChannel> {
    const opening = new Subject<OutboundChannel>();
    this.openings.push(opening);
    return opening;
  }
  /** The last channel that was asked for opens. */
  async open(): Promise<StubChannel> {
    const channel = new StubChannel();
    this.openings.at(-1)?.next(channel as unknown as OutboundChannel);
    await later(0);
    return channel;
  }
  async fail(error: InstanceQueueError): Promise<void> {
    this.openings.at(-1)?.error(error);
    await later(0);
  }
}

function given(options: { topology?: Topology; prepare?: Prepare } = {}) {
  const up$ = new BehaviorSubject<Up<Link> | undefined>(undefined);
  const log = { warn: jest.fn(), debug: jest.fn() };
  const counters = { reopens: 0 };
  const core = { up$, counters, log, reopen: REOPEN, warnOnce: jest.fn() } as unknown as ConnectionCore;
  const said: unknown[][] = [];
  let fail: (error: InstanceQueueError) => void = () => undefined;
  const opened: PublishingChannel[] = [];
  const pump = {
    opened: (publishing: PublishingChannel, failing: typeof fail) => {
      fail = failing;
      opened.push(publishing);
      said.push(['opened', publishing.epoch]);
    },
    closed: (publishing: PublishingChannel, error: Error) => said.push(['closed', publishing.epoch, error.message]),
  } as unknown as Pump;
  const refused: InstanceQueueError[] = [];
  const loop = collect<ProducerState>(
    publishingLoop(core, pump, {
      topology: options.topology,
      prepare: options.prepare,
      refused: (cause) => refused.push(cause),
    }),
  );
  const connect = async (epoch: number): Promise<StubLink> => {
    const link = new StubLink();
    up$.next({ link: link as unknown as Link, epoch });
    await later(0);
    return link;
  };
  return {
    up$,
    log,
    counters,
    said,
    opened,
    refused,
    loop,
    connect,
    fail: (error: InstanceQueueError) => {
      fail(error);
    },
  };
}

describe('the channel of a producer', () => {
  it('is opened with each connection, and says so before anything is sent on it', async () => {
    const { connect, loop, said, counters, up$ } = given({ topology });
    expect(loop.values).toEqual([]);
    const link = await connect(1);
    const channel = await link.open();
    expect(channel.declared).toEqual([topology]);
    expect(loop.values).toEqual([{ status: 'open', epoch: 1 }]);
    expect(said).toEqual([['opened', 1]]);
    link.lost = new ConnectionError('CONNECTION_LOST', 'host', 'Lost it.');
    up$.next(undefined);
    await later(0);
    expect(said.slice(1)).toEqual([]);
    const next = await connect(2);
    expect(said.slice(1)).toEqual([['closed', 1, 'Lost it.']]);
    await next.open();
    expect(loop.values).toEqual([
      { status: 'open', epoch: 1 },
      { status: 'open', epoch: 2 },
    ]);
    expect(counters.reopens).toBe(1);
    loop.subscription.unsubscribe();
  });

  it('declares nothing where there is nothing to declare', async () => {
    for (const options of [{}, { topology: {} }, { topology: { queues: [] } }]) {
      const { connect, loop } = given(options);
      expect((await (await connect(1)).open()).declared).toEqual([]);
      expect(loop.values).toHaveLength(1);
      loop.subscription.unsubscribe();
    }
  });

  it('is prepared before it is used, and not used if that fails', async () => {
    const prepared: unknown[] = [];
    let answer: () => void = () => undefined;
    const prepare: Prepare = (channel) => {
      prepared.push(channel);
      return new Promise((resolve, reject) => {
        answer =
          prepared.length === 1
            ? () => {
                reject(gone);
              }
            : resolve;
      });
    };
    const { connect, loop, said } = given({ prepare });
    const link = await connect(1);
    const first = await link.open();
    expect([prepared, loop.values]).toEqual([[first], []]);
    answer();
    await later(0);
    expect(loop.values).toEqual([{ status: 'opening', cause: gone, retryIn: 100 }]);
    expect(said).toEqual([]);
    loop.subscription.unsubscribe();
  });

  it('is opened again when it fails, which is told with its cause and the time until then', async () => {
    const { connect, loop, said, log, fail, counters } = given();
    const link = await connect(1);
    await link.fail(gone);
    expect(loop.values).toEqual([{ status: 'opening', cause: gone, retryIn: 100 }]);
    expect(log.warn.mock.calls).toEqual([[{ err: gone, retryIn: 100 }, 'publishing channel closed']]);
    await later(100);
    expect(link.openings).toHaveLength(2);
    const channel = await link.open();
    expect(counters.reopens).toBe(0);
    channel.ended = true;
    fail(gone);
    await later(0);
    expect(said).toEqual([
      ['opened', 1],
      ['closed', 1, 'It is gone.'],
    ]);
    await later(100);
    await link.open();
    expect(counters.reopens).toBe(1);
    expect(loop.values.map(({ status }) => status)).toEqual(['opening', 'open', 'opening', 'open']);
    loop.subscription.unsubscribe();
  });

  it('waits for no time that could be told when its connection is lost', async () => {
    const { connect, loop, log } = given();
    const link = await connect(1);
    link.lost = new ConnectionError('CONNECTION_LOST', 'host', 'Lost it.');
    await link.fail(new ChannelError('It ended with its connection.', { cause: link.lost }));
    expect(loop.values).toStrictEqual([{ status: 'opening', cause: link.lost }]);
    expect(log.warn).not.toHaveBeenCalled();
    loop.subscription.unsubscribe();
  });

  it('tells of a first refusal that lasts, and goes on', async () => {
    const { connect, loop, refused } = given({ topology });
    const link = await connect(1);
    await link.fail(gone);
    expect(refused).toEqual([]);
    await later(1000);
    await link.fail(forbidden);
    expect(refused).toEqual([forbidden]);
    await later(1000);
    await link.open();
    expect(loop.values.at(-1)).toEqual({ status: 'open', epoch: 1 });
    loop.subscription.unsubscribe();
  });

  it('is not used if it ends, or nobody wants it any more, while it is prepared', async () => {
    let answer: () => void = () => undefined;
    const prepare: Prepare = () => new Promise((resolve) => (answer = resolve));
    const ended = given({ prepare });
    const link = await ended.connect(1);
    (await link.open()).ended = true;
    answer();
    await later(0);
    expect([ended.loop.values, ended.said]).toEqual([[], []]);
    ended.loop.subscription.unsubscribe();
    const left = given({ prepare });
    const channel = await (await left.connect(1)).open();
    left.loop.subscription.unsubscribe();
    answer();
    await later(0);
    expect([left.loop.values, left.said, channel.closes]).toEqual([[], [], 1]);
  });

  it('is closed before the next opens on the same connection, for which it has 30 s', async () => {
    const { connect, fail, loop } = given();
    const link = await connect(1);
    const first = await link.open();
    fail(gone);
    await later(1000);
    expect([first.closes, link.openings.length]).toEqual([1, 1]);
    first.end();
    await later(0);
    expect(link.openings).toHaveLength(2);
    const second = await link.open();
    fail(gone);
    await later(29_999);
    expect([second.closes, link.openings.length]).toEqual([1, 2]);
    await later(200);
    expect(link.openings).toHaveLength(3);
    loop.subscription.unsubscribe();
  });

  it('waits for no channel of another connection, nor for one that has ended', async () => {
    const { connect, fail, loop } = given();
    const link = await connect(1);
    await link.open();
    const next = await connect(2);
    expect(next.openings).toHaveLength(1);
    (await next.open()).ended = true;
    fail(gone);
    await later(100);
    expect(next.openings).toHaveLength(2);
    loop.subscription.unsubscribe();
  });

  it('comes back at once each time it has confirmed something, however soon it fails', async () => {
    const { connect, fail, loop, opened } = given();
    const link = await connect(1);
    for (let times = 1; times <= 3; times++) {
      const channel = await link.open();
      const publishing = opened.at(-1);
      expect(publishing?.proven).toBe(false);
      if (publishing) publishing.proven = true;
      channel.ended = true;
      fail(gone);
      await later(0);
      await later(0);
    }
    const delays = loop.values.flatMap((state) => ('retryIn' in state ? [state.retryIn] : []));
    expect(delays).toEqual([0, 0, 0]);
    await link.open().then((channel) => (channel.ended = true));
    fail(gone);
    await later(100);
    await link.open().then((channel) => (channel.ended = true));
    fail(gone);
    await later(0);
    expect(loop.values.at(-1)).toMatchObject({ retryIn: 100 });
    loop.subscription.unsubscribe();
  });

  it('ends with the connection: it is closed, and leaves no timer', async () => {
    const { connect, loop, up$, said } = given();
    const link = await connect(1);
    const channel = await link.open();
    up$.complete();
    loop.subscription.unsubscribe();
    expect(channel.closes).toBe(1);
    expect(said.at(-1)).toEqual(['closed', 1, 'The channel was closed.']);
    expect(jest.getTimerCount()).toBe(0);
  });
});
