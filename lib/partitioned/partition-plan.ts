/** The owners of a partition, where index is the partition. Undefined: it has none. */
type Owners = readonly (string | undefined)[];

/** Does every partition have an owner among the members, with shares that differ by 1 at most? */
export function fits(owners: Owners, members: readonly string[]): boolean {
  const shares = sharesOf(owners, members);
  const sizes = [...shares.values()].map(({ length }) => length);
  const owned = sizes.reduce((sum, size) => sum + size, 0);
  return owned === owners.length && Math.max(...sizes) - Math.min(...sizes) <= 1;
}

/**
 * Gives every partition an owner among the members: shares differ by 1 at most, and as few partitions move as that allows. The
 * result depends on the arguments alone, and not on the order of the members. Without members there are no owners: [].
 */
export function rebalance(owners: Owners, members: readonly string[]): readonly string[] {
  if (members.length === 0) return [];
  const shares = sharesOf(owners, members);
  const least = Math.floor(owners.length / members.length);
  const extra = owners.length % members.length;
  // The members that have the most keep one more: any other choice moves more.
  const ranked = [...shares].sort(([a, { length: x }], [b, { length: y }]) => y - x || (a < b ? -1 : 1));
  const quotas = ranked.map(([id, share], rank) => ({ id, share, quota: least + (rank < extra ? 1 : 0) }));
  const next = new Map<number, string>();
  for (const { id, share, quota } of quotas) for (const partition of share.slice(0, quota)) next.set(partition, id);
  const wanting = quotas.flatMap(({ id, share, quota }) => Array<string>(Math.max(0, quota - share.length)).fill(id));
  return owners.map((_, partition) => next.get(partition) ?? wanting.shift() ?? '');
}

/** The partitions of each member, in order. */
function sharesOf(owners: Owners, members: readonly string[]): Map<string, number[]> {
  const shares = new Map([...members].sort().map((id) => [id, [] as number[]]));
  owners.forEach((owner, partition) => {
    if (owner !== undefined) shares.get(owner)?.push(partition);
  });
  return shares;
}
