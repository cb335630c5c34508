import { median } from '../../../compose/median';
import type { Result } from './experiment';
import type { Fault } from './fault';

/** The combined result of the repetitions of one experiment. */
export interface Summary {
  /** Medians. */
  readonly errors: number;
  readonly gap: number;
  /** Sums: a single occurrence is a failure. */
  readonly lost: number;
  readonly sunk: number;
  readonly hung: number;
  readonly duplicates: number;
  readonly crashes: readonly string[];
  readonly notes: readonly string[];
  /** Violations of our own client. */
  readonly misses: readonly string[];
}

export function summarise(fault: Fault, results: readonly Result[]): Summary {
  const sum = (count: (result: Result) => number): number => results.reduce((total, one) => total + count(one), 0);
  const crashes = results.flatMap(({ crash }) => crash ?? []);
  const gap = median(results.flatMap(({ gaps }) => gaps)) ?? Infinity;
  const lost = sum((one) => one.lost);
  // Publishes that a crash leaves open do not count as hung.
  const hung = sum(({ crash, open }) => (crash === undefined ? open : 0));
  const failed = sum((one) => one.failed);
  const renamed = sum((one) => one.renamed);
  const misses = [
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(failed > 0
      ? [`${failed} publish errors: ${[...new Set(results.flatMap((one) => one.failures))].join(' | ')}`]
      : []),
    ...(hung > 0 ? [`${hung} hung`] : []),
    ...(renamed > 0 ? [`${renamed} copies under another messageId`] : []),
    ...crashes.map((crash) => `crashed: ${crash}`),
    ...(gap > fault.limit ? [`a gap of ${Math.round(gap)} ms, at most ${fault.limit} ms were allowed`] : []),
    ...results.flatMap(({ complaints }) => complaints),
  ];
  return {
    errors: median(results.map((one) => one.failed)) ?? 0,
    gap,
    lost,
    sunk: sum((one) => one.sunk),
    hung,
    duplicates: sum((one) => one.duplicates),
    crashes,
    notes: [...(results[0]?.notes ?? []), ...new Set(results.flatMap(({ complaints }) => complaints))],
    misses,
  };
}

/** `0 / 44 ms`, followed by notes. */
export function cell(summary: Summary): string {
  const { errors, gap, lost, sunk, hung, duplicates, crashes, notes } = summary;
  const recovered = gap === Infinity ? '**never recovers**' : `${Math.round(gap)} ms`;
  return [
    crashes.length > 0 ? `${errors} / **crashes**` : `${errors} / ${recovered}`,
    ...(lost > 0 ? [`**${lost} lost**`] : []),
    ...(hung > 0 ? [`**${hung} hung**`] : []),
    ...(sunk > 0 ? [`${sunk} sunk`] : []),
    ...(duplicates > 0 ? [`${duplicates} twice`] : []),
    ...notes,
  ].join('; ');
}
