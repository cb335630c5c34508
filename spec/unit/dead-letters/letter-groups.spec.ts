import type { DeadLetter } from '../../../lib/dead-letters/dead-letter';
import { LetterGroups } from '../../../lib/dead-letters/letter-groups';

interface Given extends Partial<Omit<DeadLetter, 'message'>> {
  readonly type?: string;
  readonly body?: string;
}

const letter = ({ type, body = '', ...facts }: Given): DeadLetter => ({
  messageId: undefined,
  reason: 'rejected',
  queue: 'orders',
  error: undefined,
  diedAt: undefined,
  published: undefined,
  attempts: 0,
  replays: 0,
  message: {
    body: Buffer.from(body),
    content: Buffer.from(body),
    queue: 'orders.dead',
    exchange: '',
    routingKey: 'orders',
    redelivered: false,
    deliveryCount: 0,
    properties: type === undefined ? {} : { type },
  },
  ...facts,
});
function grouped(...letters: readonly Given[]): LetterGroups {
  const groups = new LetterGroups();
  for (const one of letters) groups.add(letter(one));
  return groups;
}

describe('letters are in one group', () => {
  it.each<[string, Given, Given]>([
    ['reason', { reason: 'rejected' }, { reason: 'expired' }],
    ['queue', { queue: 'orders' }, { queue: 'invoices' }],
    ['type', { type: 'order' }, { type: 'refund' }],
    ['error', { error: { name: 'A', message: 'no' } }, { error: { name: 'B', message: 'no' } }],
    ['message', { error: { name: 'A', message: 'no' } }, { error: { name: 'A', message: 'yes' } }],
    ['error at all', {}, { error: { name: '', message: '' } }],
  ])('if they have the same %s', (_, one, other) => {
    expect(grouped(one, one).list()).toMatchObject([{ ...one, count: 2 }]);
    expect(grouped(one, other).list()).toMatchObject([
      { ...one, count: 1 },
      { ...other, count: 1 },
    ]);
  });

  it('if the messages of their errors differ in numbers alone: the first is shown', () => {
    const said = (message: string): Given => ({ error: { name: 'RangeError', message } });
    const groups = grouped(said('order 1 of 20'), said('order 345 of 6'), said('order x of 6'));
    expect(groups.list()).toMatchObject([
      { count: 2, error: { message: 'order 1 of 20' } },
      { count: 1, error: { message: 'order x of 6' } },
    ]);
  });
});

it('a group has the sum of its bodies, its oldest and newest death, and the first id that there is', () => {
  const [early, middle, late] = [new Date(1), new Date(2), new Date(3)];
  const groups = grouped(
    { body: 'a' },
    { body: 'ü', diedAt: middle, messageId: 'm1' },
    { diedAt: late, messageId: 'm2' },
    { diedAt: early },
    {},
  );
  const facts = { count: 5, bytes: 3, oldest: early, newest: late, example: 'm1' };
  expect(groups.list()).toEqual([{ reason: 'rejected', queue: 'orders', error: undefined, type: undefined, ...facts }]);
  expect(grouped({ diedAt: middle }).list()).toMatchObject([{ oldest: middle, newest: middle, example: undefined }]);
});

it('the largest group comes first, and no more than a hundred are kept', () => {
  const kinds = Array.from({ length: 102 }, (_, i): Given => ({ type: `t${String.fromCharCode(33 + i)}` }));
  const [first, second, ...rest] = kinds;
  const groups = grouped(...kinds, { ...second }, { ...second }, { ...first }, { ...rest.at(-1) });
  expect(groups.list().slice(0, 3)).toMatchObject([{ ...second, count: 3 }, { ...first, count: 2 }, { count: 1 }]);
  expect([groups.list().length, groups.others, groups.matched]).toEqual([100, 3, 106]);
});
