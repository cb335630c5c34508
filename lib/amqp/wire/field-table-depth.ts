/** Bytes behind the tag of each kind of value that always takes as many. https://www.rabbitmq.com/amqp-0-9-1-errata#section_3 */
const FIXED: ReadonlyMap<number, number> = new Map(
  Object.entries({ V: 0, t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, T: 8, l: 8, d: 8 }).map(
    ([tag, size]) => [tag.charCodeAt(0), size],
  ),
);
const [TABLE, ARRAY, TEXT, BYTES] = ['F', 'A', 'S', 'x'].map((tag) => tag.charCodeAt(0));
/** A level takes at least this much: the tag and the length of an array. */
export const LEAST_PER_LEVEL = 5;

/**
 * Does the field table at `start` (its length first) hold tables or arrays in one another, more than `limit` deep? Pure,
 * and without recursion: it is asked of tables that no recursion would survive. What is malformed is for others to judge.
 */
export function nestsDeeper(limit: number, bytes: Buffer, start: number): boolean {
  const open: { readonly end: number; readonly named: boolean }[] = [];
  let at = start;
  const enter = (named: boolean): boolean => {
    if (at + 4 > bytes.length) return false;
    const end = at + 4 + bytes.readUInt32BE(at);
    at += 4;
    open.push({ end, named });
    return true;
  };
  if (!enter(true)) return false;
  for (;;) {
    let level = open.at(-1);
    while (level && at >= level.end) {
      open.pop();
      level = open.at(-1);
    }
    if (!level) return false;
    if (level.named) at += 1 + (bytes[at] ?? 0);
    const tag = bytes[at++];
    if (tag === undefined) return false;
    if (tag === TABLE || tag === ARRAY) {
      if (open.length > limit) return true;
      if (!enter(tag === TABLE)) return false;
    } else if (tag === TEXT || tag === BYTES) {
      if (at + 4 > bytes.length) return false;
      at += 4 + bytes.readUInt32BE(at);
    } else {
      const size = FIXED.get(tag);
      if (size === undefined) return false;
      at += size;
    }
  }
}
