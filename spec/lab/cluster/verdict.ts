import type { Row } from './campaign';

/** The longest allowed gap, ms. */
const LIMIT = 2000;

/** The violations in a row. */
export function complaints({ title, gaps, silence, counts }: Row): string[] {
  const worst = Math.max(...gaps, silence);
  return [
    ...(worst >= LIMIT ? [`${title}: ${worst.toFixed(0)} ms without a new message; the limit is ${LIMIT} ms`] : []),
    ...(['lost', 'errors', 'hung', 'unexplained'] as const)
      .filter((count) => counts[count] !== 0)
      .map((count) => `${title}: ${counts[count]} ${count}`),
  ];
}

const HEADS = ['', 'faults', 'gap: median', 'worst', 'silence', 'sent', 'confirmed', 'received', 'duplicates'];
const NOUGHTS = ['lost', 'errors', 'hung'] as const;

/** The cells of a row, in the order of {@link HEADS}. */
function cells({ title, gaps, silence, counts }: Row): string[] {
  const ms = (value: number | undefined): string => `${(value ?? 0).toFixed(0)} ms`;
  const sorted = [...gaps].sort((a, b) => a - b);
  const { sent, confirmed, received, duplicates } = counts;
  return [
    title,
    String(gaps.length),
    ms(sorted[Math.floor(sorted.length / 2)]),
    ms(sorted.at(-1)),
    ms(silence),
    ...[sent, confirmed, received, duplicates, ...NOUGHTS.map((count) => counts[count])].map(String),
  ];
}

/** Formats rows as aligned columns with headings. */
export function table(rows: readonly Row[]): string {
  const all = [[...HEADS, ...NOUGHTS], ...rows.map(cells)];
  const widths = HEADS.concat(NOUGHTS).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    )
    .join('\n');
}
