import type { Counts } from '../../compose/ledger';

export interface Row {
  readonly title: string;
  /** ms; undefined: it did not recover in time, 'not tried': the broker is not ours. */
  readonly recovered: number | 'not tried' | undefined;
  readonly counts: Counts;
}

const HEADS = ['disruption', 'recovered in', 'sent', 'confirmed', 'received', 'duplicates', 'lost'];

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

function toCells({ title, recovered, counts }: Row): string[] {
  const { sent, confirmed, received, duplicates, lost } = counts;
  const time = typeof recovered === 'number' ? `${String(Math.round(recovered))} ms` : (recovered ?? 'NOT RECOVERED');
  return [title, time, ...[sent, confirmed, received, duplicates, lost].map(String)];
}
