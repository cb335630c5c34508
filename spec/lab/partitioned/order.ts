import { readFileSync } from 'node:fs';

/** What the records of all processes show. */
export interface Verdict {
  /** Messages that were worked on at least once. */
  readonly seen: number;
  /** Confirmed messages that no consumer worked on. */
  readonly lost: number;
  /** Keys' messages of which the first work began before that of an earlier one. */
  readonly inversions: number;
  /** Runs beyond the first. */
  readonly repeated: number;
  /** Runs whose delivery was marked as redelivered. */
  readonly redelivered: number;
}

/** `sent`: for each key how many messages were confirmed; they are numbered from 0. */
export function judge(files: readonly string[], sent: ReadonlyMap<string, number>): Verdict {
  const first = new Map<string, bigint[]>();
  let [runs, redelivered, seen] = [0, 0, 0];
  for (const file of files) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const [key = '', n = '', again = '', at = ''] = line.split(' ');
      // The last line of a killed process may be cut off.
      if (at === '') continue;
      runs++;
      redelivered += Number(again);
      const times = first.get(key) ?? [];
      first.set(key, times);
      const time = BigInt(at);
      const before = times[Number(n)];
      if (before === undefined) seen++;
      if (before === undefined || time < before) times[Number(n)] = time;
    }
  }
  let [lost, inversions] = [0, 0];
  for (const [key, count] of sent) {
    let latest = 0n;
    const times = first.get(key) ?? [];
    for (let n = 0; n < count; n++) {
      const time = times[n];
      if (time === undefined) lost++;
      else if (time < latest) inversions++;
      else latest = time;
    }
  }
  return { seen, lost, inversions, repeated: runs - seen, redelivered };
}
