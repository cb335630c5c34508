/**
 * Routing keys and the patterns of topic exchanges, for the compiler and at run time: words between dots, where `*` stands for one
 * word and `#` for any number of them, none included. https://www.rabbitmq.com/tutorials/amqp-concepts#exchange-topic
 */

/** Is it a pattern, and not a key that a message can have? */
export type IsPattern<K extends string> = `.${K}.` extends `${string}.${'*' | '#'}.${string}` ? true : false;

/** Does some key match both? For a key in the place of `Q`: does the pattern `P` match it? */
export type Overlaps<P extends string, Q extends string> = P extends '#'
  ? true
  : Q extends '#'
    ? true
    : P extends `#.${infer Rest}`
      ? Skipping<P, Rest, Q>
      : Q extends `#.${infer Rest}`
        ? Skipping<Q, Rest, P>
        : P extends `${infer First}.${infer Rest}`
          ? Q extends `${infer OtherFirst}.${infer OtherRest}`
            ? SameWord<First, OtherFirst> extends true
              ? Overlaps<Rest, OtherRest>
              : false
            : Rest extends '#'
              ? SameWord<First, Q>
              : false
          : Q extends `${infer OtherFirst}.#`
            ? SameWord<P, OtherFirst>
            : Q extends `${string}.${string}`
              ? false
              : SameWord<P, Q>;
/** `Pattern` is `#.Rest`: the `#` takes no word of `Other`, or its first and perhaps more. */
type Skipping<Pattern extends string, Rest extends string, Other extends string> =
  Overlaps<Rest, Other> extends true ? true : Other extends `${string}.${infer More}` ? Overlaps<Pattern, More> : false;
type SameWord<P extends string, Q extends string> = '*' extends P
  ? true
  : '*' extends Q
    ? true
    : Q extends P
      ? true
      : false;

/** The keys that a pattern matches, as far as a template can say it: a `*` also takes several words here. */
export type KeysLike<P extends string> = P extends '#'
  ? string
  : P extends `#.${infer Rest}`
    ? KeysLike<Rest> | `${string}.${KeysLike<Rest>}`
    : P extends `${infer First}.#`
      ? KeysLike<First> | `${KeysLike<First>}.${string}`
      : P extends `${infer First}.${infer Rest}`
        ? `${First extends '*' ? string : First}.${KeysLike<Rest>}`
        : P extends '*'
          ? string
          : P;

/** Of several patterns, the most specific one, as `compareSpecificity` has it. */
export type MostSpecific<P extends string> = MostOf<P, P>;
type MostOf<P extends string, All extends string> = P extends P
  ? true extends (All extends All ? MoreSpecific<All, P> : never)
    ? never
    : P
  : never;
type MoreSpecific<A extends string, B extends string> = A extends B
  ? false
  : Rank<FirstWord<A>> extends infer RankA extends Ranks
    ? Rank<FirstWord<B>> extends infer RankB extends Ranks
      ? RankA extends RankB
        ? MoreSpecific<OtherWords<A>, OtherWords<B>>
        : RankB extends Below<RankA>
          ? true
          : false
      : false
    : false;
type FirstWord<P extends string> = P extends `${infer First}.${string}` ? First : P;
type OtherWords<P extends string> = P extends `${string}.${infer Rest}` ? Rest : '';
type Ranks = 0 | 1 | 2 | 3;
type Rank<Word extends string> = Word extends '#' ? 0 : Word extends '' ? 1 : Word extends '*' ? 2 : 3;
type Below<R extends Ranks> = { 0: never; 1: 0; 2: 0 | 1; 3: 0 | 1 | 2 }[R];

/** As the type of the same name. */
export const isPattern = (key: string): boolean => key.split('.').some((word) => word === '*' || word === '#');

/** As the type of the same name. */
export function overlaps(p: string, q: string): boolean {
  return wordsOverlap(wordsOf(p), wordsOf(q));
}

const wordsOf = (key: string): readonly string[] => (key === '' ? [] : key.split('.'));

function wordsOverlap(p: readonly string[], q: readonly string[]): boolean {
  // Backwards over both: `row[j]` says whether the words from `i` on of `p` overlap with those from `j` on of `q`.
  let below: boolean[] = [];
  for (let i = p.length; i >= 0; i--) {
    const row: boolean[] = [];
    for (let j = q.length; j >= 0; j--) {
      const [a, b] = [p[i], q[j]];
      if (a === undefined && b === undefined) row[j] = true;
      // It takes no word, or the next word of the other.
      else if (a === '#' || b === '#') row[j] = below[j] === true || row[j + 1] === true;
      else row[j] = a !== undefined && b !== undefined && (a === '*' || b === '*' || a === b) && below[j + 1] === true;
    }
    below = row;
  }
  return below[0] === true;
}

/**
 * For sorting: of two patterns that match the same key, the more specific one comes first. The first place where they differ decides:
 * a word goes before `*`, `*` before the end of the pattern, and that before `#`.
 */
export function compareSpecificity(a: string, b: string): number {
  const [first, second] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.max(first.length, second.length); i++) {
    const difference = rank(second[i]) - rank(first[i]);
    if (difference !== 0) return difference;
  }
  return 0;
}

const rank = (word: string | undefined): number => (word === '#' ? 0 : word === undefined ? 1 : word === '*' ? 2 : 3);
