/** One consumer of a partitioned queue, as it announces itself. */
export interface Member {
  /** Sorts by the time of its start. */
  readonly id: string;
  /** The queue in which it receives announcements. It belongs to its connection, so it is gone when the member is. */
  readonly address: string;
  /** The partitions that it consumes from, or still has work of. */
  readonly holding: readonly number[];
  /** It stops: it gets no partitions, and its own are free as soon as it has settled what it works on. */
  readonly leaving?: boolean | undefined;
}

/** Which member each partition belongs to. */
export interface Plan {
  readonly version: number;
  /** The id of the member that made it. */
  readonly by: string;
  /** The id of the owner, per partition. */
  readonly owners: readonly string[];
}

/** What members send each other. */
export interface Announcement {
  readonly member: Member;
  readonly plan?: Plan | undefined;
  /** It is new, and asks everyone for an answer. */
  readonly hello?: boolean | undefined;
  /** Addresses that the broker does not know any more. */
  readonly gone?: readonly string[] | undefined;
}

/** What one member knows of all. Immutable. */
export interface Group {
  readonly members: ReadonlyMap<string, Member>;
  readonly plan: Plan | undefined;
}

export const EMPTY_GROUP: Group = { members: new Map(), plan: undefined };

/** The group after an announcement. */
export function received(group: Group, { member, plan, gone = [] }: Announcement): Group {
  const members = new Map(group.members).set(member.id, member);
  for (const [id, { address }] of members) if (gone.includes(address)) members.delete(id);
  return { members, plan: newer(plan, group.plan) };
}

/** The group without the member at an address. A member that has come back at another address stays. */
export function withoutAddress(group: Group, gone: string): Group {
  const members = new Map([...group.members].filter(([, { address }]) => address !== gone));
  return { ...group, members };
}

/** The later of two plans. Of two that were made at once every member takes the same. */
function newer(a: Plan | undefined, b: Plan | undefined): Plan | undefined {
  if (!a || !b) return a ?? b;
  return a.version > b.version || (a.version === b.version && a.by > b.by) ? a : b;
}

/** The members that get partitions, in the order of their ids. */
const staying = ({ members }: Group): readonly string[] =>
  [...members.values()]
    .filter(({ leaving }) => leaving !== true)
    .map(({ id }) => id)
    .sort();

/**
 * A new plan, if it is up to `self` to make one: it is the oldest, and the present plan does not fit the members. Two members that
 * both believe to be the oldest make plans of which one wins; whatever a plan says, the broker activates one consumer per partition.
 */
export function planBy(self: string, group: Group, partitions: number): Plan | undefined {
  const { plan } = group;
  const ids = staying(group);
  if (ids[0] !== self) return undefined;
  if (plan?.owners.length === partitions && fits(plan.owners, ids)) return undefined;
  const before = plan?.owners ?? [];
  const owners = rebalance(
    Array.from({ length: partitions }, (_, i) => before[i]),
    ids,
  );
  return { version: (plan?.version ?? 0) + 1, by: self, owners };
}

/**
 * The members to watch: the next one in the order of ids, so that each member is watched by one other; and the rest in turn. A member that
 * is disconnected misses the announcement that another one is gone. Without its own look it would never learn that, and would leave
 * partitions with an owner that no longer exists.
 */
export function watchedBy(self: string, { members }: Group, turn: number): readonly Member[] {
  const others = [...members.values()].filter(({ id }) => id !== self).sort((a, b) => (a.id < b.id ? -1 : 1));
  const next = others.find(({ id }) => id > self) ?? others[0];
  const rest = others.filter((other) => other !== next);
  const inTurn = rest[turn % rest.length];
  return [next, inTurn].filter((member) => member !== undefined);
}

/** Does another member hold this partition? */
export const isHeldByOther = (self: string, { members }: Group, partition: number): boolean =>
  [...members.values()].some(({ id, holding }) => id !== self && holding.includes(partition));

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
