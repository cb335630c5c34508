import type { QueueSpec, Topology } from 'instance-queue';
import { ensureDeadLetterQueues, ensureQueue, isEmpty } from '../../../lib/connection/declare';
import { channelRefused } from '../../../lib/transport/link-errors';
import { rejection } from '../../support/waiting';

type Presence = 'there' | 'missing' | 'hidden';
const refused = (replyCode: number) =>
  channelRefused('Cannot declare', new Error('refused'), { replyCode, text: 'NO' });

/** A link on which queues are as a test says, `missing` if it says nothing, and which notes what is asked of it. */
function given(queues: Readonly<Record<string, Presence | Error>> = {}) {
  const asked: unknown[] = [];
  const answer = (name: string) => queues[name] ?? 'missing';
  const on = {
    check: (name: string): Promise<Presence> => {
      asked.push(`check ${name}`);
      const presence = answer(name);
      return typeof presence === 'string' ? Promise.resolve(presence) : Promise.reject(presence);
    },
    declare: (_topology: Topology, spec?: QueueSpec): Promise<string | undefined> => {
      asked.push(spec);
      const presence = answer(spec?.name ?? '');
      return typeof presence === 'string' ? Promise.resolve(spec?.name) : Promise.reject(presence);
    },
  };
  const warnOnce = jest.fn();
  const ensure = (topology: Topology, own?: QueueSpec, known?: Topology) =>
    ensureDeadLetterQueues({ warnOnce }, on, topology, own, known);
  return { on, asked, warnOnce, ensure };
}

const orders = (deadLetter: QueueSpec['deadLetter'], more: Partial<QueueSpec> = {}): QueueSpec => ({
  name: 'orders',
  ...(deadLetter && { deadLetter }),
  ...more,
});
const toDead = { queue: 'dead' };

describe('a queue that is used by its name alone', () => {
  it.each<[Presence, unknown[]]>([
    ['there', ['check orders']],
    ['hidden', ['check orders']],
    ['missing', ['check orders', { name: 'orders' }]],
  ])('that is %s is asked: %j', async (presence, expected) => {
    const { on, asked } = given({ orders: presence });
    await ensureQueue(on, 'orders');
    expect(asked).toEqual(expected);
  });
});

describe('queues for dead letters', () => {
  it.each<[string, QueueSpec]>([
    ['no dead letters', orders(undefined)],
    ['dead letters by an exchange', orders({ exchange: 'dlx', routingKey: 'dead' })],
    [
      'an exchange of the same key in its arguments',
      orders(undefined, { arguments: { 'x-dead-letter-exchange': 'dlx', 'x-dead-letter-routing-key': 'dead' } }),
    ],
    ['a key without an exchange', orders(undefined, { arguments: { 'x-dead-letter-routing-key': 'dead' } })],
    [
      'an empty key',
      orders(undefined, { arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': '' } }),
    ],
    [
      'a key of another type',
      orders(undefined, { arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 5 } }),
    ],
    ['a queue of the broker', orders({ queue: 'amq.rabbitmq.reply-to' })],
    ['a passive declaration', orders(toDead, { passive: true })],
    ['itself', orders({ queue: 'orders' })],
  ])('are not looked for behind %s', async (_what, spec) => {
    const { ensure, asked } = given();
    await ensure({ queues: [spec] });
    expect(asked).toEqual([]);
  });

  it('are declared if they are missing, also where arguments name them, and each once', async () => {
    const { ensure, asked, warnOnce } = given({ parked: 'there' });
    const other = { name: 'other', arguments: { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' } };
    await ensure({ queues: [orders(toDead), other] }, { name: 'own', deadLetter: { queue: 'parked' } });
    expect(asked).toEqual(['check dead', { name: 'dead' }, 'check parked']);
    expect(warnOnce).not.toHaveBeenCalled();
  });

  it('are declared as the topology knows them, and so is the queue behind each', async () => {
    const { ensure, asked } = given();
    const dead = { name: 'dead', maxLength: 5, deadLetter: { queue: 'buried' } };
    await ensure({}, orders(toDead), { queues: [dead] });
    expect(asked).toEqual([dead, 'check buried', { name: 'buried' }]);
  });

  it('end where they lead in a circle', async () => {
    const { ensure, asked } = given();
    const dead = { name: 'dead', deadLetter: { queue: 'orders' } };
    await ensure({}, orders(toDead), { queues: [dead, orders(toDead)] });
    expect(asked).toEqual([dead]);
  });

  it('that are exclusive are left to the connection of their consumer', async () => {
    const { ensure, asked } = given();
    await ensure({}, orders(toDead), { queues: [{ name: 'dead', exclusive: true }] });
    expect(asked).toEqual([]);
  });

  it('that this user may not see, or not declare, are warned of once, and the rest goes on', async () => {
    const err = refused(403);
    const { ensure, asked, warnOnce } = given({ dead: 'hidden', buried: err });
    await ensure({ queues: [orders(toDead), { name: 'other', deadLetter: { queue: 'buried' } }] });
    expect(asked).toEqual(['check dead', 'check buried']);
    const text = 'cannot make sure that the queue for dead letters exists: without it the broker drops them';
    expect(warnOnce.mock.calls).toEqual([
      ['dead-letter dead', { queue: 'orders', deadLetterQueue: 'dead' }, text],
      ['dead-letter buried', { queue: 'other', deadLetterQueue: 'buried', err }, text],
    ]);
  });

  it('that are exclusive to another connection are there', async () => {
    const { ensure, warnOnce } = given({ dead: refused(405) });
    await ensure({}, orders(toDead), { queues: [{ name: 'dead', maxLength: 5 }] });
    expect(warnOnce).not.toHaveBeenCalled();
  });

  it.each([
    ['by the broker', refused(406)],
    ['by a bug', new TypeError('no')],
  ])('that are refused otherwise, %s, end it', async (_what, error) => {
    const { ensure } = given({ dead: error });
    expect(await rejection(ensure({ queues: [orders(toDead)] }))).toBe(error);
  });
});

describe('a topology', () => {
  it.each<[Topology, boolean]>([
    [{}, true],
    [{ exchanges: [], queues: [], bindings: [] }, true],
    [{ exchanges: [{ name: 'events', type: 'topic' }] }, false],
    [{ queues: [{ name: 'orders' }] }, false],
    [{ bindings: [{ exchange: 'events', queue: 'orders' }] }, false],
  ])('%j declares nothing: %s', (topology, empty) => {
    expect(isEmpty(topology)).toBe(empty);
  });
});
