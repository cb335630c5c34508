import { MemoryBroker } from 'instance-queue/testing';
import {
  type Dialling,
  drawFaults,
  endOf,
  type Fault,
  FAULT_KINDS,
  type FaultyNetwork,
  inflict,
} from '../../../lib/testing/simulation/faults';
import { Random } from '../../../lib/testing/simulation/random';
import { later } from '../../support/virtual-time';

/** A broker with two queues, and what its network was told. */
function given() {
  const broker = new MemoryBroker();
  broker.declare({ queues: [{ name: 'a' }, { name: 'b' }] });
  const told: unknown[] = [];
  const network: FaultyNetwork = {
    set dialling(dialling: Dialling) {
      told.push(dialling);
    },
    cut: (...how) => told.push(['cut', ...how]),
    silence: (ms) => told.push(['silence', ms]),
    closeChannel: ({ replyCode }) => told.push(['closed', replyCode]),
    restart: (ms) => told.push(['restart', ms]),
  };
  for (const name of ['block', 'unblock', 'nackNext', 'cancelConsumers', 'deleteQueue'] as const)
    jest.spyOn(broker, name).mockImplementation((...args: readonly unknown[]) => void told.push([name, ...args]));
  return { broker, told, inflicted: (fault: Fault) => inflict(fault, broker, network) };
}

describe('a fault', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each<[Fault, unknown[], unknown[]]>([
    [{ at: 0, kind: 'cut', direction: 'toClient', after: 3 }, [['cut', 'toClient', 3]], []],
    [{ at: 0, kind: 'silence', ms: 50 }, [['silence', 50]], []],
    [{ at: 0, kind: 'refused-dials', ms: 50 }, ['refuse'], ['accept']],
    [{ at: 0, kind: 'unanswered-dials', ms: 50 }, ['silence'], ['accept']],
    [{ at: 0, kind: 'restart', ms: 50 }, [['restart', 50]], []],
    [{ at: 0, kind: 'alarm', ms: 50 }, [['block']], [['unblock']]],
    [{ at: 0, kind: 'channel-closed', replyCode: 541 }, [['closed', 541]], []],
    [{ at: 0, kind: 'nacks', count: 4 }, [['nackNext', 4]], []],
    [{ at: 0, kind: 'cancelled', queue: 1 }, [['cancelConsumers', 'b']], []],
    [{ at: 0, kind: 'cancelled', queue: 2 }, [['cancelConsumers', 'a']], []],
    [{ at: 0, kind: 'queue-deleted', queue: 0 }, [['deleteQueue', 'a']], []],
  ])('happens, and is over in time: %j', async (fault, begun, over) => {
    const { told, inflicted } = given();
    inflicted(fault);
    expect(told).toEqual(begun);
    await later(49);
    expect(told).toEqual(begun);
    await later(1);
    expect(told).toEqual([...begun, ...over]);
  });

  it.each([true, false])('of a queue that is declared again at once, or not: %s', (again) => {
    const { broker, inflicted } = given();
    jest.restoreAllMocks();
    const names = (): readonly string[] => broker.vhost.queues.map(({ name }) => name).sort();
    broker.put({ queue: 'b', body: 1 });
    const [, old] = broker.vhost.queues;
    inflicted({ at: 0, kind: 'queue-deleted', queue: 1, again });
    expect(names()).toEqual(again ? ['a', 'b'] : ['a']);
    const now = broker.vhost.find('b');
    expect([now === old, now?.declaration, now?.ready.length]).toEqual(
      again ? [false, old?.declaration, 0] : [false, undefined, undefined],
    );
  });

  it('of a queue that is deleted, and that nobody may declare again, is not undone', () => {
    const { broker, inflicted } = given();
    jest.restoreAllMocks();
    broker.vhost.denied.add('b');
    inflicted({ at: 0, kind: 'queue-deleted', queue: 1, again: true });
    expect(broker.vhost.find('b')).toBeUndefined();
  });

  it('of a queue without a leader, or that the user may not use, is over in time', async () => {
    const { broker, inflicted } = given();
    const { vhost } = broker;
    const state = (): unknown => [broker.put({ queue: 'b', body: 1 }), [...vhost.denied]];
    inflicted({ at: 0, kind: 'election', queue: 1, ms: 50 });
    inflicted({ at: 0, kind: 'denied', queue: 3, ms: 60 });
    expect(state()).toEqual([false, ['b']]);
    await later(50);
    expect(state()).toEqual([true, ['b']]);
    await later(10);
    expect(state()).toEqual([true, []]);
  });

  it('of a stream is no election, and of no queue nothing at all', () => {
    const { broker, told, inflicted } = given();
    for (const name of ['a', 'b']) broker.vhost.deleteQueue(name);
    for (const kind of ['election', 'denied'] as const) inflicted({ at: 0, kind, queue: 5, ms: 50 });
    broker.declare({ name: 'audit', type: 'stream' });
    inflicted({ at: 0, kind: 'election', queue: 0, ms: 50 });
    expect([broker.put({ queue: 'audit', body: 1 }), told]).toEqual([true, []]);
  });

  it('of little memory blocks while the queues hold more than that, and no longer than it lasts', async () => {
    const { broker, told, inflicted } = given();
    inflicted({ at: 0, kind: 'memory-limit', bytes: 5, ms: 1000 });
    broker.put({ queue: 'a', body: Buffer.from('12345') });
    await later(100);
    expect(told).toEqual([]);
    broker.put({ queue: 'b', body: Buffer.from('6') });
    await later(200);
    expect(told).toEqual([['block']]);
    broker.purge('b');
    await later(200);
    expect(told).toEqual([['block'], ['unblock']]);
    broker.put({ queue: 'b', body: Buffer.from('6') });
    await later(499);
    expect(told).toEqual([['block'], ['unblock'], ['block']]);
    await later(1);
    expect(told).toEqual([['block'], ['unblock'], ['block'], ['unblock']]);
    expect(jest.getTimerCount()).toBe(0);
  });
});

describe('faults that are drawn', () => {
  it('are as many as asked for, in their order, and over in time', () => {
    const faults = drawFaults(new Random(7), 300, 10_000);
    expect(faults).toHaveLength(300);
    expect(faults.map(({ at }) => at)).toEqual(faults.map(({ at }) => at).sort((a, b) => a - b));
    for (const fault of faults) {
      expect(fault.at).toBeGreaterThanOrEqual(1);
      expect(endOf(fault)).toBeLessThanOrEqual(10_000);
      expect(endOf(fault)).toBe('ms' in fault ? fault.at + fault.ms : fault.at);
    }
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(FAULT_KINDS));
  });

  it.each([
    ['cut', ['direction', 'after']],
    ['channel-closed', ['replyCode']],
    ['nacks', ['count']],
    ['cancelled', ['queue']],
    ['queue-deleted', ['queue', 'again']],
    ['election', ['queue', 'ms']],
    ['denied', ['queue', 'ms']],
    ['memory-limit', ['bytes', 'ms']],
    ['silence', ['ms']],
  ] as const)('are of the kinds that are asked for: %s', (kind, members) => {
    const faults = drawFaults(new Random(3), 50, 5000, [kind]);
    for (const fault of faults) expect(Object.keys(fault).sort()).toEqual(['at', 'kind', ...members].sort());
    expect(new Set(faults.map((fault) => fault.kind))).toEqual(new Set([kind]));
    for (const member of members)
      expect(new Set(faults.map((fault) => Reflect.get(fault, member) as unknown)).size).toBeGreaterThan(1);
  });

  it('are the same for the same seed', () => {
    expect(drawFaults(new Random(5), 20, 5000)).toEqual(drawFaults(new Random(5), 20, 5000));
  });

  it('fit into the shortest run', () => {
    for (const fault of drawFaults(new Random(5), 50, 1)) expect(fault.at).toBe(1);
  });
});
