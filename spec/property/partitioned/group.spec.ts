import fc from 'fast-check';
import {
  type Announcement,
  EMPTY_GROUP,
  type Group,
  type Plan,
  planBy,
  isHeldByOther,
  received,
  watchedBy,
  withoutAddress,
  fits,
} from '../../../lib/partitioned/group';

const PARTITIONS = 12;
const announced = (id: string, more: Partial<Announcement> & { readonly leaving?: boolean } = {}): Announcement => {
  const { leaving, ...rest } = more;
  return { member: { id, address: `queue of ${id}`, holding: [], ...(leaving === true && { leaving }) }, ...rest };
};
const groupOf = (...ids: string[]): Group => ids.reduce((group, id) => received(group, announced(id)), EMPTY_GROUP);

describe('a group', () => {
  it('settles on one plan, which fits, whatever the order of announcements', () => {
    const events = fc.array(fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd', 'e'), leaving: fc.boolean() }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(events, fc.nat(), (happened, seed) => {
        const last = new Map(happened.map((event) => [event.id, event]));
        const staying = [...last.values()].filter(({ leaving }) => !leaving).map(({ id }) => id);
        fc.pre(staying.length > 0);
        // Everyone hears of everything, and then of each plan, in an order of its own.
        const views = new Map<string, Group>();
        staying.forEach((self, i) => {
          const heard = [...last.values()];
          heard.push(...heard.splice(0, (seed + i) % heard.length));
          views.set(
            self,
            heard.reduce((group, { id, leaving }) => received(group, announced(id, { leaving })), EMPTY_GROUP),
          );
        });
        for (let round = 0; round < 3; round++) {
          const plans = [...views].flatMap(([self, group]) => planBy(self, group, PARTITIONS) ?? []);
          for (const plan of plans)
            for (const [self, group] of views) views.set(self, received(group, announced(plan.by, { plan })));
        }
        const made = new Set([...views.values()].map(({ plan }) => JSON.stringify(plan)));
        expect(made.size).toBe(1);
        const [plan] = [...views.values()].map((group) => group.plan);
        expect(fits(plan?.owners ?? [], staying)).toBe(true);
      }),
    );
  });

  it('takes the later plan, and of two that were made at once everyone takes the same', () => {
    const plan = (version: number, by: string): Plan => ({ version, by, owners: [] });
    const plans = fc
      .record({ version: fc.nat(3), by: fc.constantFrom('a', 'b') })
      .map(({ version, by }) => plan(version, by));
    fc.assert(
      fc.property(plans, plans, (one, other) => {
        const after = (...order: Plan[]): Plan | undefined =>
          order.reduce((group, each) => received(group, announced('x', { plan: each })), EMPTY_GROUP).plan;
        expect(after(one, other)).toEqual(after(other, one));
        expect(after(one, other)?.version).toBe(Math.max(one.version, other.version));
      }),
    );
  });

  it('has every member watched by one other, and by all the rest in turn', () => {
    const group = groupOf('c', 'a', 'd', 'b');
    const watched = (turn: number): string[] =>
      ['a', 'b', 'c', 'd'].map((self) =>
        watchedBy(self, group, turn)
          .map(({ id }) => id)
          .join(''),
      );
    expect(watched(0)).toEqual(['bc', 'ca', 'da', 'ab']);
    expect(watched(1)).toEqual(['bd', 'cd', 'db', 'ac']);
    expect(watched(2)).toEqual(watched(0));
    expect(watchedBy('a', groupOf('a', 'b'), 3).map(({ id }) => id)).toEqual(['b']);
    expect(watchedBy('a', groupOf('a'), 0)).toEqual([]);
  });

  it('forgets the member at an address that is gone, and keeps one that came back at another', () => {
    const group = groupOf('a', 'b');
    expect([...withoutAddress(group, 'queue of b').members.keys()]).toEqual(['a']);
    const back = received(group, { member: { id: 'b', address: 'another', holding: [] } });
    expect([...withoutAddress(back, 'queue of b').members.keys()]).toEqual(['a', 'b']);
    expect([...received(group, announced('a', { gone: ['queue of b'] })).members.keys()]).toEqual(['a']);
  });

  it('gives nothing to a member that leaves, and remembers what it still holds', () => {
    const leaving = { id: 'b', address: 'queue of b', holding: [3], leaving: true };
    const group = received(groupOf('a'), { member: leaving });
    expect(planBy('a', group, PARTITIONS)?.owners).toEqual(Array(PARTITIONS).fill('a'));
    expect(isHeldByOther('a', group, 3)).toBe(true);
    expect(isHeldByOther('a', withoutAddress(group, 'queue of b'), 3)).toBe(false);
  });

  it('moves no more partitions with a new plan than it has to', () => {
    const before = planBy('a', groupOf('a', 'b'), PARTITIONS);
    const grown = planBy('a', { ...groupOf('c', 'b', 'a'), plan: before }, PARTITIONS);
    const moved = grown?.owners.filter((owner, partition) => owner !== before?.owners[partition]);
    expect(moved).toEqual(Array(PARTITIONS / 3).fill('c'));
    expect(grown?.version).toBe(2);
    const resized = planBy('a', { ...groupOf('a', 'b'), plan: before }, 2 * PARTITIONS);
    expect(resized?.owners.slice(0, PARTITIONS)).toEqual(before?.owners);
  });

  it('is planned for by its oldest member alone', () => {
    const group = groupOf('a', 'b');
    expect(planBy('b', group, PARTITIONS)).toBeUndefined();
    const plan = planBy('a', group, PARTITIONS);
    expect(plan).toMatchObject({ version: 1, by: 'a' });
    expect(planBy('a', { ...group, plan }, PARTITIONS)).toBeUndefined();
  });
});
