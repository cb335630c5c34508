import type { Counts } from '../../compose/ledger';

/** How long a fault lasted, and how long after its end a new message arrived, in ms. */
export interface Recovery {
  readonly outage: number;
  readonly after: number;
}

export interface Row {
  readonly title: string;
  /** `undefined`: it did not recover in time. 'not tried': the broker is not ours. */
  readonly recovery: Recovery | 'not tried' | undefined;
  readonly counts: Counts;
}

const HEADS = ['fault', 'outage', 'recovery after it', 'sent', 'confirmed', 'received', 'duplicates', 'lost'];

/** The rows as text, numbers to the right. */
export function table(rows: readonly Row[]): string {
  const cells = [HEADS, ...rows.map(toCells)];
  const widths = HEADS.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  const [head = [], ...body] = cells;
  return [line(head), rule, ...body.map(line)].join('\n');
}

/** `57 ms`, `3.0 s`; a fault that is a moment has no duration. */
export function durationOf(ms: number): string {
  if (ms < 1) return 'a moment';
  return ms < 1000 ? `${String(Math.round(ms))} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function toCells({ title, recovery, counts }: Row): string[] {
  const { sent, confirmed, received, duplicates, lost } = counts;
  const times =
    typeof recovery === 'object'
      ? [durationOf(recovery.outage), durationOf(recovery.after)]
      : ['', recovery ?? 'NOT RECOVERED'];
  return [title, ...times, ...[sent, confirmed, received, duplicates, lost].map(String)];
}
