import fc from 'fast-check';
import { fits, rebalance } from '../../../lib/partitioned/group';

const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });
/** Partitions whose owners are members, members that have left, or nobody. */
const owned = ids.chain((members) =>
  fc.record({
    members: fc.constant(members),
    owners: fc.array(fc.option(fc.constantFrom(...members, 'left before'), { nil: undefined }), { maxLength: 64 }),
  }),
);
const sharesOf = (owners: readonly (string | undefined)[], members: readonly string[]): number[] =>
  members.map((id) => owners.filter((owner) => owner === id).length);
const moved = (before: readonly (string | undefined)[], after: readonly string[]): number =>
  after.filter((owner, partition) => owner !== before[partition]).length;

describe('rebalance', () => {
  it('gives every partition an owner among the members, with shares that differ by 1 at most', () => {
    fc.assert(
      fc.property(owned, ({ owners, members }) => {
        const shares = sharesOf(rebalance(owners, members), members);
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(owners.length);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('moves as few partitions as that allows', () => {
    fc.assert(
      fc.property(owned, ({ owners, members }) => {
        // The best choice: those that have the most keep the larger shares.
        const most = sharesOf(owners, members).sort((a, b) => b - a);
        const least = Math.floor(owners.length / members.length);
        const extra = owners.length % members.length;
        const kept = most.reduce((sum, share, i) => sum + Math.min(share, least + (i < extra ? 1 : 0)), 0);
        expect(moved(owners, rebalance(owners, members))).toBe(owners.length - kept);
      }),
    );
  });

  it('gives the same to all, in whatever order they know the members', () => {
    fc.assert(
      fc.property(owned, ({ owners, members }) => {
        expect(rebalance(owners, [...members].reverse())).toEqual(rebalance(owners, members));
      }),
    );
  });

  it('leaves what fits as it is, and what it made fits', () => {
    fc.assert(
      fc.property(owned, ({ owners, members }) => {
        const plan = rebalance(owners, members);
        expect(fits(plan, members)).toBe(true);
        expect(rebalance(plan, members)).toEqual(plan);
      }),
    );
  });
});
