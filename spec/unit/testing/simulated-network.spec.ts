import { MemoryBroker } from 'instance-queue/testing';
import { firstValueFrom, type Observable } from 'rxjs';
import { Random } from '../../../lib/testing/simulation/random';
import { SimulatedLine } from '../../../lib/testing/simulation/simulated-line';
import { SimulatedTransport } from '../../../lib/testing/simulation/simulated-transport';
import { Refusal } from '../../../lib/testing/memory/refusal';
import { parseEndpoint } from '../../../lib/transport/endpoints';
import type { InboundChannel, Link } from '../../../lib/transport/transport';
import { collect, type Collected } from '../../support/collect';
import { later } from '../../support/virtual-time';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** One way takes 5 ms. */
const FIXED = { least: 5, most: 5 };

describe('one direction of a simulated connection', () => {
  const line = ({ latency = FIXED, held = false } = {}) => {
    const made = new SimulatedLine(new Random(1), latency, held);
    const arrived: string[] = [];
    const send = (...names: readonly string[]): void => {
      for (const name of names)
        made.send(() => arrived.push(`${name} ${String(Math.round(performance.now() - began))}`));
    };
    const began = performance.now();
    return { line: made, arrived, send };
  };

  it('takes as long as it says, and keeps the order', async () => {
    const { line: one, arrived, send } = line({ latency: { least: 10, most: 40 } });
    const sent: number[] = [];
    for (let i = 0; i < 50; i++) {
      sent.push(performance.now());
      send(String(i));
      expect(one.busy).toBe(true);
      await later(7);
    }
    await later(50);
    expect(one.busy).toBe(false);
    expect(arrived.map((words) => words.split(' ')[0])).toEqual(sent.map((_, i) => String(i)));
    const took = arrived.map((words, i) => Number(words.split(' ')[1]) - ((sent[i] ?? 0) - (sent[0] ?? 0)));
    expect(Math.min(...took)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...took)).toBeLessThanOrEqual(41);
    expect(new Set(took).size).toBeGreaterThan(10);
  });

  it('brings what is due in one read', async () => {
    const { arrived, send } = line();
    send('a', 'b');
    await later(3);
    send('c');
    await later(5);
    expect(arrived).toEqual(['a 5', 'b 5', 'c 8']);
  });

  it('is held from its start, or later, until it is released', async () => {
    const { line: one, arrived, send } = line({ held: true });
    send('a');
    await later(100);
    expect([arrived, one.busy]).toEqual([[], true]);
    one.release();
    send('b');
    await later(5);
    one.hold();
    send('c');
    await later(100);
    expect(arrived).toEqual(['a 101', 'b 105']);
    one.release();
    await later(1);
    expect([arrived.slice(2), one.busy]).toEqual([['c 206'], false]);
  });

  it('is held by what arrives: the rest of that read waits', async () => {
    const { line: one, arrived, send } = line();
    one.send(() => {
      one.hold();
    });
    send('a');
    await later(100);
    expect(arrived).toEqual([]);
    one.release();
    await later(1);
    expect(arrived).toEqual(['a 101']);
  });

  it('brings nothing more once it is cut, not even what was on its way', async () => {
    const { line: one, arrived, send } = line();
    send('a');
    one.cut();
    send('b');
    one.release();
    await later(100);
    expect([arrived, one.busy, jest.getTimerCount()]).toEqual([[], false, 0]);
  });

  it('is cut behind so many messages, which it says once', async () => {
    const { line: one, arrived, send } = line();
    const cut = jest.fn(() => one.busy);
    one.cutAfter(2, cut);
    send('a', 'b');
    await later(100);
    expect(cut).not.toHaveBeenCalled();
    send('c', 'd');
    await later(100);
    expect(arrived).toEqual(['a 5', 'b 5']);
    expect(cut.mock.results).toEqual([{ type: 'return', value: false }]);
  });

  it('is full while much is on its way, and says when there is room again', async () => {
    const { line: one, arrived, send } = line();
    const room = collect(one.drain$);
    for (let i = 1; i <= 14; i++) send(String(i));
    expect(one.writable).toBe(true);
    send('15');
    expect([one.writable, room.values.length]).toEqual([false, 0]);
    await later(5);
    expect([one.writable, room.values.length, arrived.length]).toEqual([true, 1, 15]);
    // Half of it is enough.
    for (let i = 0; i < 9; i++) send('early');
    await later(1);
    for (let i = 0; i < 8; i++) send('late');
    expect(one.writable).toBe(false);
    await later(4);
    expect([one.writable, room.values.length]).toEqual([false, 1]);
    await later(1);
    expect([one.writable, room.values.length]).toEqual([true, 2]);
  });

  it('goes on behind a message that its reader throws at', async () => {
    const { line: one, arrived, send } = line();
    one.send(() => {
      throw new RangeError('no');
    });
    send('a');
    await expect(later(5)).rejects.toThrow('no');
    await later(1);
    expect(arrived).toEqual(['a 6']);
  });
});

describe('a simulated network', () => {
  /** A broker behind it, with a queue. */
  const network = (seed = 1) => {
    let transport: SimulatedTransport | undefined;
    const broker = new MemoryBroker({
      transport: (host) => (transport = new SimulatedTransport(host, new Random(seed), FIXED)),
    });
    if (!transport) throw new Error('The broker did not ask for its transport.');
    broker.declare({ name: 'orders' });
    const made = transport;
    const dial = (connectTimeout = 1000): Collected<Link> => {
      const options = { heartbeat: 10, connectTimeout, wire: true };
      return collect<Link>(made.dial(parseEndpoint('amqp://somewhere'), options));
    };
    const up = async (): Promise<{ readonly dialling: Collected<Link>; readonly link: Link }> => {
      const dialling = dial();
      await later(20);
      const [link] = dialling.values;
      if (!link) throw new Error('Expected a link.');
      return { dialling, link };
    };
    return { broker, transport: made, dial, up };
  };
  const opened = async (opening$: Observable<InboundChannel>): Promise<InboundChannel> => {
    const channel = firstValueFrom(opening$);
    await later(10);
    return channel;
  };
  const inspected = async (link: Link): Promise<unknown> => {
    const asked = link.inspect('orders').catch((error: unknown) => error);
    // A channel opens, and answers.
    await later(20);
    return Promise.race([asked, later(0).then(() => 'no answer')]);
  };

  it('opens a connection after two exchanges, and closes it with its subscription', async () => {
    const { transport, dial } = network();
    const dialling = dial();
    await later(19);
    expect([dialling.values.length, transport.size]).toEqual([0, 0]);
    await later(1);
    const [link] = dialling.values;
    expect([transport.size, transport.busy, await inspected(link!)]).toEqual([1, false, { messages: 0, consumers: 0 }]);
    dialling.subscription.unsubscribe();
    expect(link?.lost).toMatchObject({ code: 'CONNECTION_CLOSED' });
    await later(20);
    expect([transport.size, dialling.error, jest.getTimerCount()]).toEqual([0, undefined, 0]);
  });

  it('opens none for a dial that was given up', async () => {
    const { transport, dial } = network();
    const dialling = dial();
    await later(10);
    dialling.subscription.unsubscribe();
    expect(jest.getTimerCount()).toBe(0);
    await later(2000);
    expect([transport.size, dialling.values, dialling.error]).toEqual([0, [], undefined]);
  });

  it.each([
    ['refuse', 20, 'ECONNREFUSED'],
    ['silence', 1000, 'ETIMEDOUT'],
  ] as const)('answers dials as it is told to: %s', async (dialling, after, code) => {
    const { transport, dial, up } = network();
    transport.dialling = dialling;
    const one = dial();
    await later(after - 1);
    expect(one.error).toBeUndefined();
    await later(1);
    expect(one.error).toMatchObject({ code: 'CONNECT_FAILED', cause: { code } });
    expect([one.values, transport.size, jest.getTimerCount()]).toEqual([[], 0, 0]);
    transport.dialling = 'accept';
    await up();
    expect(transport.size).toBe(1);
  });

  it.each(['toBroker', 'toClient'] as const)(
    'cuts a connection %s behind so many messages; both ends notice soon',
    async (direction) => {
      const { transport, up } = network();
      const { dialling, link } = await up();
      // What the open and the close of a channel take, in each direction.
      transport.cut(direction, 3);
      expect(await inspected(link)).toEqual({ messages: 0, consumers: 0 });
      await later(20);
      expect(await inspected(link)).not.toEqual({ messages: 0, consumers: 0 });
      await later(100);
      expect(dialling.error).toMatchObject({ code: 'CONNECTION_LOST', cause: { message: 'read ECONNRESET' } });
      expect([transport.size, jest.getTimerCount()]).toEqual([0, 0]);
    },
  );

  it('has nothing to cut where nobody is connected', async () => {
    const { transport, up } = network();
    transport.cut('toBroker', 0);
    transport.closeChannel(new Refusal(406, 'simulated'));
    const { link } = await up();
    expect(await inspected(link)).toEqual({ messages: 0, consumers: 0 });
  });

  it('heals a short silence: what was sent meanwhile arrives, and dials are answered again', async () => {
    const { transport, dial, up } = network();
    const { dialling, link } = await up();
    transport.silence(15_000);
    const answer = link.inspect('orders');
    const unanswered = dial();
    await later(14_999);
    expect(unanswered.error).toMatchObject({ cause: { code: 'ETIMEDOUT' } });
    expect([transport.busy, dialling.error]).toEqual([true, undefined]);
    await later(30);
    expect(await answer).toEqual({ messages: 0, consumers: 0 });
    await up();
    await later(60_000);
    expect([dialling.error, transport.size, jest.getTimerCount()]).toEqual([undefined, 2, 0]);
  });

  it('breaks connections in a long silence: each end gives up after 20 to 30 s', async () => {
    const times: number[] = [];
    for (let seed = 1; seed <= 6; seed++) {
      const { transport, up } = network(seed);
      const { dialling } = await up();
      transport.silence(60_000);
      let [client, broker] = [0, 0];
      for (let ms = 0; ms < 31_000; ms += 500) {
        if (!dialling.error) client = ms;
        if (transport.size > 0) broker = ms;
        await later(500);
      }
      times.push(client, broker);
      expect(dialling.error).toMatchObject({ code: 'CONNECTION_LOST', cause: { message: 'Heartbeat timeout' } });
      await later(60_000);
      expect([transport.size, jest.getTimerCount()]).toEqual([0, 0]);
    }
    expect(Math.min(...times)).toBeGreaterThanOrEqual(19_500);
    expect(Math.max(...times)).toBeLessThanOrEqual(30_000);
    expect(new Set(times).size).toBeGreaterThan(4);
  });

  it('tells the other end when one has given up in a silence that ends', async () => {
    const ends = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) {
      const { transport, up } = network(seed);
      const { dialling } = await up();
      transport.silence(25_000);
      await later(24_999);
      const before = [dialling.error !== undefined, transport.size === 0];
      await later(2);
      const after = [dialling.error !== undefined, transport.size === 0];
      const broken = before.includes(true);
      expect(after).toEqual([broken, broken]);
      if (broken && !before[0]) expect(dialling.error).toMatchObject({ cause: { message: 'read ECONNRESET' } });
      ends.add(before.join());
      await later(60_000);
      expect([dialling.error !== undefined, transport.size === 0]).toEqual([broken, broken]);
    }
    // The one, the other, both or none.
    expect(ends.size).toBeGreaterThanOrEqual(3);
  });

  it('restarts the broker: it says goodbye, and takes connections again after a while', async () => {
    const { transport, dial, up, broker } = network();
    const { dialling } = await up();
    broker.put({ queue: 'orders', body: 'kept' });
    transport.restart(500);
    expect(transport.size).toBe(0);
    await later(5);
    expect(dialling.error).toMatchObject({ code: 'CONNECTION_LOST', replyCode: 320 });
    expect((dialling.error as Error).message).toContain(
      "320 CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
    );
    const refused = dial();
    await later(20);
    expect(refused.error).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    await later(475);
    await up();
    expect(broker.messages('orders').map(({ body }) => body)).toEqual(['kept']);
  });

  it('closes a channel, by the broker or over an error of the client', async () => {
    const codes = new Set<unknown>();
    for (let seed = 1; seed <= 12; seed++) {
      const { transport, up } = network(seed);
      const { dialling, link } = await up();
      const channel = await opened(link.openInbound());
      const ended = collect(channel.ended$);
      transport.closeChannel(new Refusal(406, 'simulated'));
      await later(20);
      expect([channel.ended, ended.values.length, dialling.error]).toEqual([true, 1, undefined]);
      codes.add(ended.values[0]?.replyCode);
    }
    expect(codes).toEqual(new Set([406, undefined]));
  });

  it('is refused and accepted by command, and says when it accepts', async () => {
    const { transport, dial, up, broker } = network();
    const { dialling } = await up();
    const back = collect(transport.back$);
    broker.disconnect();
    expect(transport.size).toBe(0);
    await later(1);
    expect(dialling.error).toMatchObject({ code: 'CONNECTION_LOST', cause: { message: 'the broker is gone' } });
    const refused = dial();
    await later(20);
    expect(refused.error).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
    broker.reconnect();
    expect(back.values).toHaveLength(0);
    await later(1);
    expect(back.values).toHaveLength(1);
    await up();
  });

  it('holds what the broker sends, also on connections that open meanwhile', async () => {
    const { up, broker } = network();
    const { link } = await up();
    broker.hold();
    const { link: other } = await up();
    const answers = [link, other].map((one) => collect(one.openInbound()));
    await later(1000);
    expect(answers.map(({ values }) => values.length)).toEqual([0, 0]);
    broker.release();
    await later(1);
    expect(answers.map(({ values }) => values.length)).toEqual([1, 1]);
    const { link: third } = await up();
    expect(await inspected(third)).toEqual({ messages: 0, consumers: 0 });
  });
});
