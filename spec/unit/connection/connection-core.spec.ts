import { Connection, ConnectionError, type ConnectionOptions, type LogEntry } from 'instance-queue';
import { BehaviorSubject, EMPTY, Observable, type Subscriber } from 'rxjs';
import type { CloseReport, Member } from '../../../lib/connection/member';
import type { DialOptions, Link, Transport } from '../../../lib/transport/transport';
import { closing } from '../../support/closing';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

/** A link that does nothing by itself. */
class StubLink {
  readonly endpoint = 'host:5672/';
  readonly frameMax = 4096;
  readonly #blocked = new BehaviorSubject<string | undefined>(undefined);
  readonly closed: number[] = [];
  lost: ConnectionError | undefined;

  constructor(
    readonly options: DialOptions,
    readonly subscriber: Subscriber<Link>,
    readonly heartbeat: number,
  ) {}
  get blocked$(): Observable<string | undefined> {
    return this.#blocked;
  }
  block(reason: string | undefined): void {
    this.#blocked.next(reason);
  }
  lose(cause: ConnectionError): void {
    this.lost ??= cause;
    this.#blocked.complete();
  }
  close(within: number): Promise<void> {
    this.closed.push(within);
    return Promise.resolve();
  }
  fail(cause: ConnectionError): void {
    this.lose(cause);
    this.subscriber.error(cause);
  }
}

/** A connection whose dials all open at once, or never. */
function given(options: Partial<ConnectionOptions> = {}, { opens = true, heartbeat = 0 } = {}) {
  const links: StubLink[] = [];
  const transport: Transport = {
    back$: EMPTY,
    dial: (_endpoint, dialled) =>
      new Observable((subscriber) => {
        const link = new StubLink(dialled, subscriber, heartbeat);
        links.push(link);
        if (opens) subscriber.next(link as unknown as Link);
      }),
  };
  const log: LogEntry[] = [];
  const logger = (entry: LogEntry): void => void log.push(entry);
  const connection = closing(new Connection({ url: 'amqp://host', logger, ...options }, transport));
  const lines = (): string[] => log.map(({ level, message }) => `${level}: ${message}`);
  return { connection, core: connection.core, links, log, lines };
}
const connect = async (connection: Connection): Promise<void> => {
  const connected = connection.connect();
  await later();
  await connected;
};

describe('connect()', () => {
  it('rejects when the connection is closed while it is made, and ever after', async () => {
    const { connection } = given({}, { opens: false });
    const connecting = rejection(connection.connect());
    await later();
    const closed = connection.close();
    expect(await connecting).toMatchObject({
      code: 'CONNECTION_CLOSED',
      message: 'The connection is closed. Open a new one to go on.',
    });
    await later();
    await closed;
    expect(await rejection(connection.connect())).toMatchObject({ code: 'CONNECTION_CLOSED' });
  });

  it('rejects with the reason for which the connection was given up', async () => {
    const { connection, links } = given({ reconnect: { initialAttempts: 1 } }, { opens: false });
    const connecting = rejection(connection.connect());
    await later();
    links[0]?.fail(new ConnectionError('CONNECT_FAILED', 'host', 'Nobody there.'));
    const error = await connecting;
    expect(error).toMatchObject({ code: 'CONNECT_FAILED', message: 'Gave up after 1 attempt. Nobody there.' });
    expect(await rejection(connection.connect())).toBe(error);
  });
});

describe('reconnect()', () => {
  it('drops the link, says who did it, and dials again at once', async () => {
    const { connection, links } = given();
    await connect(connection);
    const states = collect(connection.state$);
    connection.reconnect();
    await later(0);
    const cause = { code: 'CONNECTION_LOST', endpoint: 'host:5672/', message: 'Dropped by reconnect().' };
    expect(links[0]?.lost).toMatchObject(cause);
    expect(states.values.slice(1)).toMatchObject([
      { status: 'reconnecting', delay: 0, cause },
      { status: 'connected', epoch: 2 },
    ]);
  });
});

describe('a rehearsal', () => {
  it.each([
    [{}, 'instance-queue (setup check)'],
    [{ name: 'an app' }, 'an app (setup check)'],
  ])('has a connection of its own, with a name that says so, and closes it: %j', async (options, name) => {
    const { core, links } = given(options);
    const used: unknown[] = [];
    const rehearsed = core.rehearse((link) => {
      used.push(link);
      return Promise.resolve();
    });
    await later();
    await rehearsed;
    expect(links).toHaveLength(1);
    expect(links[0]?.options.name).toBe(name);
    expect(used).toEqual([links[0]]);
    expect(links[0]?.closed).toEqual([5000]);
    expect(links[0]?.subscriber.closed).toBe(true);
  });

  it('rejects as its work does, and ends its connection all the same', async () => {
    const { core, links } = given();
    const refused = new Error('refused');
    const rehearsed = rejection(core.rehearse(() => Promise.reject(refused)));
    await later();
    expect(await rehearsed).toBe(refused);
    expect(links[0]?.subscriber.closed).toBe(true);
  });

  it('finds out whether there is room for channels again', async () => {
    const { connection, core, links } = given();
    await connect(connection);
    const text =
      'the broker closed it: 530 NOT_ALLOWED - number of channels opened (3) has reached the negotiated channel_max (3)';
    links[0]?.fail(new ConnectionError('CONNECTION_LOST', 'host', text, { replyCode: 530 }));
    await later(100);
    expect(core.channelsLimited).toBe(true);
    const rehearsed = core.rehearse(() => Promise.resolve());
    await later();
    await rehearsed;
    expect(core.channelsLimited).toBe(false);
  });
});

describe('what the broker blocks', () => {
  it('is known, logged and told as events while it lasts, and over with the link', async () => {
    const { connection, core, links, lines } = given();
    const events: string[] = [];
    connection.on('blocked', (reason) => events.push(`blocked: ${reason}`));
    connection.on('unblocked', () => events.push('unblocked'));
    const blocked = collect(connection.blocked$);
    await connect(connection);
    links[0]?.block('memory');
    expect(core.blocked).toBe('memory');
    links[0]?.block('memory');
    links[0]?.block(undefined);
    expect(core.blocked).toBeUndefined();
    links[0]?.block('disk');
    links[0]?.fail(new ConnectionError('CONNECTION_LOST', 'host', 'Lost.'));
    expect(core.blocked).toBeUndefined();
    expect(events).toEqual(['blocked: memory', 'unblocked', 'blocked: disk', 'unblocked']);
    expect(blocked.values).toEqual([undefined, 'memory', undefined, 'disk', undefined]);
    expect(lines().filter((line) => line.includes('blocked'))).toEqual([
      'warn: publishing blocked by the broker',
      'info: publishing unblocked',
      'warn: publishing blocked by the broker',
      'info: publishing unblocked',
    ]);
  });
});

describe('an event loop that stands still', () => {
  /** The clock goes on, and no timer is run. */
  const stall = async (ms: number): Promise<void> => {
    const now = performance.now.bind(performance);
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + ms);
    await later(2000);
    clock.mockRestore();
  };
  const warnings = (log: readonly LogEntry[]) => log.filter(({ message }) => message.startsWith('the event loop'));

  it('for half a heartbeat is warned of, with how long it was; for less it is not', async () => {
    const { connection, log } = given({}, { heartbeat: 10 });
    await connect(connection);
    await later(10_000);
    await stall(4990);
    expect(warnings(log)).toEqual([]);
    const other = given({}, { heartbeat: 10 });
    await connect(other.connection);
    await stall(5000);
    const [warning] = warnings(other.log);
    expect(warning).toMatchObject({
      level: 'warn',
      message: 'the event loop stood still for so long that heartbeats are at risk',
      fields: { stalled: 5000, heartbeat: 10 },
    });
  });

  it('is not looked for without heartbeats, nor without a link', async () => {
    const { connection, log } = given();
    await connect(connection);
    expect(jest.getTimerCount()).toBe(1);
    await stall(60_000);
    expect(warnings(log)).toEqual([]);
  });
});

describe('closing', () => {
  const member = (direction: Member['direction'], report: CloseReport, ms = 0) => {
    const within: number[] = [];
    return {
      within,
      direction,
      close: (left: number): Promise<CloseReport> => {
        within.push(left);
        return new Promise((resolve) => {
          setTimeout(() => {
            resolve(report);
          }, ms);
        });
      },
    };
  };

  it('ends consumers first, then producers, then the link, and adds up what is left', async () => {
    const { connection, core, links } = given();
    const joined = collect(core.joined$);
    const producer = member('outbound', { unsettled: 0, unconfirmed: 3 });
    const [one, other] = [
      member('inbound', { unsettled: 1, unconfirmed: 0 }, 50),
      member('inbound', { unsettled: 2, unconfirmed: 0 }, 20),
    ];
    const gone = member('inbound', { unsettled: 9, unconfirmed: 9 });
    for (const each of [producer, one, other]) core.register(each);
    core.register(gone)();
    expect(joined.values).toEqual([producer, one, other, gone]);
    await connect(connection);
    const closed = connection.close({ drainTimeout: 1000 });
    expect([one.within, other.within, producer.within, gone.within]).toEqual([[1000], [1000], [], []]);
    await later(49);
    expect(producer.within).toEqual([]);
    await later(1);
    expect(producer.within).toEqual([950]);
    expect(links[0]?.closed).toEqual([]);
    await later(1);
    expect(await closed).toEqual({ unsettled: 3, unconfirmed: 3 });
    expect(links[0]?.closed).toEqual([949]);
    expect(joined.completed).toBe(true);
    expect(await connection.close()).toEqual({ unsettled: 3, unconfirmed: 3 });
  });

  it.each([
    [0, 100],
    [60_000, 5000],
  ])('gives the link the time for a handshake: with %d ms, %d', async (drainTimeout, within) => {
    const { connection, links } = given();
    await connect(connection);
    const closed = connection.close({ drainTimeout });
    await later();
    await closed;
    expect(links[0]?.closed).toEqual([within]);
  });

  it('may be hurried: a later call shortens the time that is left, and none makes it longer', async () => {
    const { connection, core } = given();
    const slow = member('inbound', { unsettled: 0, unconfirmed: 0 }, 500);
    core.register(slow);
    const closed = connection.close({ drainTimeout: 1000 });
    await later(100);
    void connection.close({ drainTimeout: 200 });
    void connection.close({ drainTimeout: 9000 });
    expect(slow.within).toEqual([1000, 200, 9000]);
    await later(1000);
    expect(await closed).toEqual({ unsettled: 0, unconfirmed: 0 });
  });
});

describe('what a connection remembers', () => {
  it('are the specs of queues, so that a name means them, and the warnings that it gave', () => {
    const { core, lines } = given();
    expect(core.known(undefined)).toEqual({});
    const own = { queues: [{ name: 'own' }] };
    expect(core.known(own)).toBe(own);
    core.learn({ name: '' });
    expect(core.known(own)).toBe(own);
    core.learn({ name: 'q', maxLength: 1 });
    core.learn({ name: 'q', maxLength: 2 });
    expect(core.known(own).queues).toEqual([{ name: 'own' }, { name: 'q', maxLength: 2 }]);
    for (const key of ['a', 'b', 'a']) core.warnOnce(key, {}, `about ${key}`);
    expect(lines()).toEqual(['warn: about a', 'warn: about b']);
  });
});
