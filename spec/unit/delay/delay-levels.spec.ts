import { ChannelError, type InstanceQueueError, type Topology } from 'instance-queue';
import { DelayLevels, forgetDelays, isFinal, isOfDelays, MissingTarget } from '../../../lib/delay/delay-levels';
import { Delayed } from '../../../lib/delay/delayed';
import type { DelayKind } from '../../../lib/delay/levels';
import type { MessageProperties } from '../../../lib/properties';
import type { Link } from '../../../lib/transport/transport';

const PREFIX = 'instance-queue.delay.v1.';
const refused = (replyCode: number): ChannelError =>
  new ChannelError(`Refused with ${String(replyCode)}.`, { replyCode });
const code = (error: InstanceQueueError | undefined): number | undefined => error?.replyCode;

interface Script {
  /** How a declaration that holds this name is answered. */
  readonly declare?: Readonly<Record<string, Error>>;
  readonly check?: 'there' | 'missing' | Error;
  readonly lost?: boolean;
}

/** A link that agrees to everything but what is in the script, and the levels over it. */
function scripted(script: Script = {}) {
  const declared: Topology[] = [];
  const warned: unknown[][] = [];
  const checked: string[] = [];
  const link = {
    lost: script.lost === true ? new Error('gone') : undefined,
    declare: (topology: Topology) => {
      declared.push(topology);
      const names = JSON.stringify(topology);
      const [, error] = Object.entries(script.declare ?? {}).find(([name]) => names.includes(`"${name}"`)) ?? [];
      return error ? Promise.reject(error) : Promise.resolve();
    },
    check: (queue: string) => {
      checked.push(queue);
      const { check = 'there' } = script;
      return check instanceof Error ? Promise.reject(check) : Promise.resolve(check);
    },
  } as unknown as Link;
  const levels = new DelayLevels({ warnOnce: (...words) => warned.push(words) });
  const queues = (): string[] => declared.flatMap(({ queues: all = [] }) => all.map(({ name }) => name));
  return { link, levels, declared, warned, checked, queues };
}

function delayed(
  target: { queue?: string; exchange?: string } = { queue: 'orders' },
  delay = 100_000,
  kind: DelayKind = 'classic',
  properties: MessageProperties = {},
) {
  const one = new Delayed({ delay }, kind, undefined);
  const { queue, exchange = '' } = target;
  one.belongsTo({ queue, exchange, routingKey: queue ?? 'key', properties, mandatory: true });
  return one;
}
const knowing = { mandatory: true, isEnsured: false };

describe('the levels of a message', () => {
  it('are declared once on a link, and again on another, or when something is missing', async () => {
    const { link, levels, declared, queues } = scripted();
    await levels.ensure(link, delayed(), knowing);
    expect(queues()).toEqual(expect.arrayContaining([`${PREFIX}classic.stranded`, `${PREFIX}classic.9`]));
    const before = declared.length;
    expect(levels.ensure(link, delayed(), knowing)).toBeUndefined();
    await levels.ensure(link, delayed({ queue: 'invoices' }), knowing);
    expect(declared.length).toBe(before + 1);
    forgetDelays(link);
    await levels.ensure(link, delayed(), knowing);
    expect(declared.length).toBe(2 * before + 1);
    const other = scripted();
    await levels.ensure(other.link, delayed(), knowing);
    expect(other.declared).toHaveLength(before);
  });

  it('are those that it may need as its time passes, from the smallest on', async () => {
    const { link, levels, queues } = scripted();
    await levels.ensure(link, delayed({ queue: 'orders' }, 5000), knowing);
    const own = (): string[] => queues().filter((name) => /classic\.\d+$/.test(name));
    const named = (...numbers: number[]): string[] => numbers.map((level) => `${PREFIX}classic.${String(level)}`);
    expect(own()).toEqual(named(6, 7, 8, 9, 10, 11, 12));
    await levels.ensure(link, delayed({ queue: 'orders' }, 100_000), knowing);
    expect(own().slice(7)).toEqual(named(13, 14, 15, 16));
  });

  it('of each kind and priority are declared by themselves, on one way out per kind', async () => {
    const { link, levels, declared, queues } = scripted();
    const [plain, urgent, classic] = [
      delayed({ queue: 'orders' }, 5000, 'quorum'),
      delayed({ queue: 'orders' }, 5000, 'quorum', { priority: 9 }),
      delayed({ queue: 'orders' }, 5000, 'classic', { priority: 9 }),
    ];
    for (const message of [plain, urgent, classic]) await levels.ensure(link, message, knowing);
    const sets = new Set(queues().flatMap((name) => /^(.+)\.\d+$/.exec(name)?.[1] ?? []));
    expect([...sets]).toEqual([plain.set, urgent.set, classic.set]);
    expect(sets.size).toBe(3);
    expect(queues().filter((name) => name.endsWith('.stranded'))).toEqual(
      ['quorum', 'classic'].map((kind) => `${PREFIX}${kind}.stranded`),
    );
    // A kind leads to a target once, from whatever level.
    expect(declared.filter(({ queues: all }) => all?.some(({ name }) => name.includes('to-queue')))).toHaveLength(1);
    for (const message of [plain, urgent, classic]) expect(levels.ensure(link, message, knowing)).toBeUndefined();
  });

  it('stay declared when more of them are needed', async () => {
    const { link, levels, declared } = scripted();
    for (const delay of [5000, 100_000]) await levels.ensure(link, delayed({ queue: 'orders' }, delay), knowing);
    const before = declared.length;
    for (const delay of [5000, 20_000, 100_000])
      expect(levels.ensure(link, delayed({ queue: 'orders' }, delay), knowing)).toBeUndefined();
    expect(declared).toHaveLength(before);
  });

  it('are none for a message whose time has come, or that cannot wait', () => {
    const { link, levels } = scripted();
    expect(levels.ensure(link, delayed({ queue: 'orders' }, 0), knowing)).toBeUndefined();
    const failed = delayed();
    failed.refusal = refused(406);
    expect(levels.ensure(link, failed, knowing)).toBeUndefined();
  });

  it('are trusted to be there where the user must not declare them, which is said once', async () => {
    const err = refused(403);
    const { link, levels, warned } = scripted({ declare: { [`${PREFIX}classic.exit`]: err } });
    const message = delayed();
    await levels.ensure(link, message, knowing);
    expect(message.refusal).toBeUndefined();
    const sentence = 'cannot declare the queues and exchanges of delays: trusted';
    for (const words of warned) expect(words).toEqual(['delays', { err }, sentence]);
    expect(warned.length).toBeGreaterThan(0);
  });

  it.each([
    [406, true],
    [541, false],
  ])('that are refused with %i refuse the message; that is final: %s', async (replyCode, final) => {
    const { link, levels, declared } = scripted({ declare: { [`${PREFIX}classic.9`]: refused(replyCode) } });
    const message = delayed();
    await levels.ensure(link, message, knowing);
    expect(code(message.refusal)).toBe(replyCode);
    expect(message.refusal && isFinal(message.refusal)).toBe(final);
    // Nothing of it counts as there.
    const before = declared.length;
    await levels.ensure(link, delayed(), knowing);
    expect(declared.length).toBe(2 * before - 1);
  });

  it('do not refuse a message on a link that is lost: it is tried again on the next', async () => {
    const { link, levels } = scripted({ lost: true, declare: { [`${PREFIX}classic.9`]: refused(406) } });
    const message = delayed();
    await levels.ensure(link, message, knowing);
    expect(message.refusal).toBeUndefined();
  });

  it('hide no error that is not the broker’s', async () => {
    const bug = new TypeError('a bug');
    for (const lost of [false, true]) {
      const { link, levels } = scripted({ lost, declare: { [`${PREFIX}classic.9`]: bug } });
      await expect(levels.ensure(link, delayed(), knowing)).rejects.toBe(bug);
    }
  });
});

describe('the target of a message', () => {
  it.each([
    ['is missing', 'missing', knowing, 404],
    ['is not found', refused(404), knowing, 404],
    ['is missing, though it was declared', 'missing', { mandatory: true, isEnsured: true }, undefined],
    ['is missing, and the sender does not mind', 'missing', { mandatory: false, isEnsured: false }, undefined],
    ['may not be looked up', refused(403), knowing, undefined],
    ['is another connection’s', refused(405), knowing, undefined],
    ['cannot be looked up', refused(541), knowing, 541],
  ] as const)('that %s', async (_, check, knowledge, replyCode) => {
    const { link, levels, checked } = scripted({ check });
    const message = delayed();
    await levels.ensure(link, message, knowledge);
    expect(code(message.refusal)).toBe(replyCode);
    expect(checked).toEqual(knowledge.mandatory ? ['orders'] : []);
    expect(message.refusal instanceof MissingTarget).toBe(replyCode === 404);
  });

  it('is named where it is missing, and that is final', async () => {
    const { link, levels } = scripted({ check: 'missing' });
    const message = delayed();
    await levels.ensure(link, message, knowing);
    expect(message.refusal).toMatchObject({ message: 'There is no queue `orders`.', isQueue: true });
    const nowhere = scripted({ declare: { events: refused(404) } });
    const event = delayed({ exchange: 'events' });
    await nowhere.levels.ensure(nowhere.link, event, knowing);
    expect(event.refusal).toMatchObject({ message: 'There is no exchange `events`.', isQueue: false, replyCode: 404 });
    expect([message, event].map(({ refusal }) => refusal && isFinal(refusal))).toEqual([true, true]);
  });

  it.each([
    ['a queue that is another connection’s', { check: refused(405) }, 'orders'],
    ['a queue that cannot be bound', { declare: { orders: refused(405) } }, 'orders'],
    ['a queue that is gone meanwhile', { declare: { orders: refused(404) } }, 'orders'],
    ['a queue that the broker named', {}, 'amq.gen-1'],
  ] as const)('is reached past the bindings, if it is %s', async (_, script, queue) => {
    const { link, levels } = scripted(script);
    const message = delayed({ queue });
    await levels.ensure(link, message, knowing);
    expect(message.refusal).toBeUndefined();
    expect(levels.wire(link, message).properties?.headers).toMatchObject({ 'iq-delay-to': 'volatile' });
    expect(levels.ensure(link, delayed({ queue }), knowing)).toBeUndefined();
  });

  it('is led to by a binding otherwise', async () => {
    const { link, levels, declared } = scripted();
    await levels.ensure(link, delayed(), knowing);
    expect(levels.wire(link, delayed()).properties?.headers).toMatchObject({ 'iq-delay-to': 'queue' });
    expect(declared.at(-1)).toEqual({
      bindings: [{ exchange: `${PREFIX}classic.queues`, routingKey: 'orders', queue: 'orders' }],
    });
  });

  it('is one of its kind: a queue and an exchange of one name are two', async () => {
    const { link, levels, declared } = scripted();
    await levels.ensure(link, delayed({ queue: 'orders' }), knowing);
    const before = declared.length;
    await levels.ensure(link, delayed({ exchange: 'orders' }), knowing);
    // It is looked for, and bound.
    expect(declared.slice(before)).toEqual([
      { exchanges: [{ name: 'orders', type: 'direct', passive: true }] },
      {
        bindings: [
          {
            exchange: `${PREFIX}classic.exit`,
            toExchange: 'orders',
            arguments: { 'x-match': 'all', 'iq-delay-to': 'exchange', 'iq-delay-exchange': 'orders' },
          },
        ],
      },
    ]);
    for (const target of [{ queue: 'orders' }, { exchange: 'orders' }])
      expect(levels.ensure(link, delayed(target), knowing)).toBeUndefined();
    expect(levels.ensure(link, delayed({ exchange: 'events' }), knowing)).toBeDefined();
    expect(levels.ensure(link, delayed({ queue: 'invoices' }), knowing)).toBeDefined();
  });

  it.each([
    [403, undefined],
    [404, 404],
    [541, 541],
  ])('is an exchange, and looking for it is answered with %i', async (replyCode, expected) => {
    const { link, levels, declared } = scripted({ declare: { events: refused(replyCode) } });
    const message = delayed({ exchange: 'events' });
    await levels.ensure(link, message, knowing);
    expect(code(message.refusal)).toBe(expected);
    expect(declared.flatMap(({ exchanges = [] }) => exchanges).some(({ name }) => name === 'events')).toBe(true);
  });

  it('of quorum levels has a queue before it, which is refused like any other', async () => {
    const landing = `${PREFIX}quorum.to-queue.orders`;
    const { link, levels, queues } = scripted();
    await levels.ensure(link, delayed({ queue: 'orders' }, 100_000, 'quorum'), knowing);
    expect(queues()).toContain(landing);
    const refusing = scripted({ declare: { [landing]: refused(405) } });
    const message = delayed({ queue: 'orders' }, 100_000, 'quorum');
    await refusing.levels.ensure(refusing.link, message, knowing);
    expect(code(message.refusal)).toBe(405);
  });

  it('that is an exchange is missing, if it cannot be bound', async () => {
    const { link, levels } = scripted({ declare: { 'iq-delay-exchange': refused(404) } });
    const message = delayed({ exchange: 'events' });
    await levels.ensure(link, message, knowing);
    expect(message.refusal).toBeInstanceOf(MissingTarget);
  });
});

it('the exchanges of delays are known by their names', () => {
  expect([isOfDelays(`${PREFIX}classic.exit`), isOfDelays('events'), isOfDelays('')]).toEqual([true, false, false]);
});
