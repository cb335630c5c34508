import type { DeadLetter } from './dead-letter';

/** Dead letters that died in one queue, for one reason, with one error. */
export interface DeadLetterGroup {
  readonly reason: string;
  readonly queue: string | undefined;
  /** The error of the first; those of the others differ in digits at most. */
  readonly error: DeadLetter['error'];
  readonly type: string | undefined;
  readonly count: number;
  /** Bytes of all bodies. */
  readonly bytes: number;
  readonly oldest: Date | undefined;
  readonly newest: Date | undefined;
  /** The id of the first that has one. */
  readonly example: string | undefined;
}

/** What a look at a dead-letter queue has found so far. */
export interface DeadLetterGroups {
  /** Messages that were ready when the look began. */
  readonly found: number;
  /** Messages that were looked at. */
  readonly read: number;
  /** Those that the filter means. */
  readonly matched: number;
  /** The largest first. */
  readonly groups: readonly DeadLetterGroup[];
  /** Letters of further groups: no more than 100 groups are kept. */
  readonly others: number;
  /** The delivery count of the letter that has the highest; see `deliveryLimit`. 0 where it is not counted. */
  readonly highestCount: number;
  /** `delivery-limit`: the look ended at a letter that the broker would soon drop for being looked at. */
  readonly stopped?: 'delivery-limit';
}

/** Groups at most, so that the memory of a look does not grow with what it finds. */
const GROUPS = 100;

/** Counts letters by what they died of, in bounded memory. */
export class LetterGroups {
  readonly #groups = new Map<string, DeadLetterGroup>();
  #others = 0;
  #matched = 0;

  get matched(): number {
    return this.#matched;
  }

  get others(): number {
    return this.#others;
  }

  add(letter: DeadLetter): void {
    this.#matched++;
    const { reason, queue, error, message, messageId, diedAt } = letter;
    const { type } = message.properties;
    // Messages of errors name ids and amounts: digits do not make a group of their own.
    const said = error && [error.name, error.message.replace(/\d+/g, '#')];
    const key = JSON.stringify([reason, queue, said, type]);
    const group = this.#groups.get(key);
    if (!group && this.#groups.size >= GROUPS) {
      this.#others++;
      return;
    }
    const bytes = message.content.length;
    this.#groups.set(
      key,
      group
        ? {
            ...group,
            count: group.count + 1,
            bytes: group.bytes + bytes,
            oldest: extreme(group.oldest, diedAt, Math.min),
            newest: extreme(group.newest, diedAt, Math.max),
            example: group.example ?? messageId,
          }
        : { reason, queue, error, type, count: 1, bytes, oldest: diedAt, newest: diedAt, example: messageId },
    );
  }

  /** The largest first. */
  list(): readonly DeadLetterGroup[] {
    return [...this.#groups.values()].sort((a, b) => b.count - a.count);
  }
}

function extreme(a: Date | undefined, b: Date | undefined, choose: (a: number, b: number) => number): Date | undefined {
  if (!a || !b) return a ?? b;
  return choose(a.getTime(), b.getTime()) === a.getTime() ? a : b;
}
