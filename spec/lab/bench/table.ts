import type { Pause, Sample } from './scenario/job';
import { median, medianRatio, quantile } from './statistics';

/** All rounds of one client in one scenario. */
export interface Measured {
  readonly scenario: string;
  readonly client: string;
  readonly samples: readonly Sample[];
}

/** A figure of one sample; undefined: it has none. */
export type Metric = (sample: Sample) => number | undefined;

export const throughput: Metric = ({ messages, ms }) => messages / ms;
export const cost: Metric = ({ messages, cpu }) => cpu / messages;
export const costSinceStart: Metric = ({ messages, sinceStart }) => sinceStart && sinceStart / messages;
/** Of its round trips, ms. */
export const trip =
  (share: number): Metric =>
  ({ trips }) =>
    trips && quantile(trips, share);
/** With one message at a time, throughput is the inverse of latency, and CPU is mostly the cost of waking up. */
export const unlessTrips =
  (metric: Metric): Metric =>
  (sample) =>
    sample.trips ? undefined : metric(sample);

export interface Column {
  readonly head: string;
  /** `of` finds another client in the same scenario. */
  readonly cell: (one: Measured, of: (client: string) => Measured | undefined) => string;
}

const NONE = '–';

/** The figures of all rounds; undefined if one is missing. */
function figures({ samples }: Measured, metric: Metric): readonly number[] | undefined {
  const all = samples.map(metric).filter((figure) => figure !== undefined);
  return all.length > 0 && all.length === samples.length ? all : undefined;
}

/** The median over all rounds. */
export const medianColumn = (head: string, metric: Metric, digits: number): Column => ({
  head,
  cell: (one) => {
    const all = figures(one, metric);
    return all ? median(all).toFixed(digits) : NONE;
  },
});

/** The smallest and the largest round. */
export const spreadColumn = (metric: Metric, digits: number): Column => ({
  head: '(spread)',
  cell: (one) => {
    const all = figures(one, metric);
    return all ? `${Math.min(...all).toFixed(digits)}–${Math.max(...all).toFixed(digits)}` : NONE;
  },
});

/** The ratio to another client. */
export const ratioColumn = (to: string, metric: Metric, head = `× ${to}`): Column => ({
  head,
  cell: (one, of) => {
    const base = of(to);
    const [all, bases] = [figures(one, metric), base && figures(base, metric)];
    return all && bases ? medianRatio(all, bases).toFixed(2) : NONE;
  },
});

/** One Markdown table, a row for each scenario and client. */
export function table(all: readonly Measured[], columns: readonly Column[]): string {
  const rows = all.map((one) => {
    const of = (client: string): Measured | undefined =>
      all.find((other) => other.scenario === one.scenario && other.client === client);
    return [one.scenario, one.client, ...columns.map(({ cell }) => cell(one, of))];
  });
  return markdown([['scenario', 'client', ...columns.map(({ head }) => head)], ...rows], 2);
}

/** One Markdown table with a row for each scenario and a column for each client. */
export function across(all: readonly Measured[], clients: readonly string[], { cell }: Column): string {
  const titles = [...new Set(all.map(({ scenario }) => scenario))];
  const rows = titles.map((title) => {
    const of = (client: string): Measured | undefined =>
      all.find((one) => one.scenario === title && one.client === client);
    return clients.map((client) => {
      const one = of(client);
      return one ? cell(one, of) : NONE;
    });
  });
  return markdown([['', ...clients], ...rows.map((row, i) => [titles[i] ?? '', ...row])]);
}

/** Garbage collections of `least` ms and more: how many in all rounds, by kind, and the longest. */
export function pausesColumn(least: number): Column {
  return {
    head: `pauses over ${least} ms`,
    cell: ({ samples }) => {
      const long = samples.flatMap(({ pauses = [] }) => pauses).filter(({ ms }) => ms > least);
      const kinds = [...new Set(long.map(({ kind }) => kind))].sort();
      const counted = kinds.map((kind) => describe(long.filter((pause) => pause.kind === kind)));
      return counted.length === 0 ? '0' : counted.join('; ');
    },
  };
}

const describe = (pauses: readonly Pause[]): string =>
  `${pauses.length} × ${pauses[0]?.kind ?? ''} (longest ${Math.max(...pauses.map(({ ms }) => ms)).toFixed(1)} ms)`;

/** The first row holds the heads. The first `left` columns are aligned to the left. */
export function markdown([heads = [], ...rows]: readonly (readonly string[])[], left = 1): string {
  const widths = heads.map((head, i) => Math.max(3, head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i < left ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}
