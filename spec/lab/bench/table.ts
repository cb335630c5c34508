import type { ClientName } from './clients/all';
import type { Sample } from './scenario/job';
import { median, quantile } from './statistics';

/** All rounds of one client in one scenario. */
export interface Measured {
  readonly scenario: string;
  readonly client: ClientName;
  readonly samples: readonly Sample[];
}

const HEADS = [
  'scenario',
  'client',
  'k/s',
  '(spread)',
  '× amqplib',
  '× limit',
  'CPU µs',
  '(spread)',
  '× amqplib',
  '× limit',
  'p50 ms',
  'p99 ms',
];

const speeds = ({ samples }: Measured): number[] => samples.map(({ messages, ms }) => messages / ms);
const costs = ({ samples }: Measured): number[] => samples.map(({ messages, cpu }) => cpu / messages);

/** One Markdown table: medians over all rounds, their range, and medians of the ratios within each round. */
export function table(all: readonly Measured[]): string {
  const rows = all.map((one) => {
    const of = (client: ClientName): Measured | undefined =>
      all.find((other) => other.scenario === one.scenario && other.client === client);
    const ratio = (to: ClientName, what: (measured: Measured) => number[]): string => {
      const base = of(to);
      if (!base) return '–';
      const bases = what(base);
      // Within each round, so that a slow phase of the machine affects both.
      return median(what(one).map((value, round) => value / (bases[round] ?? NaN))).toFixed(2);
    };
    const trips = one.samples.flatMap((sample) => sample.trips ?? []);
    const times = [0.5, 0.99].map((share) => (trips.length === 0 ? '–' : quantile(trips, share).toFixed(2)));
    // With one message at a time, throughput is the inverse of latency, and CPU is mostly the cost of waking up.
    const rates =
      trips.length > 0
        ? ['–', '–', '–', '–', '–', '–', '–', '–']
        : [speeds, costs].flatMap((what) => [
            median(what(one)).toFixed(1),
            range(what(one)),
            ratio('amqplib', what),
            ratio('limit', what),
          ]);
    return [one.scenario, one.client, ...rates, ...times];
  });
  return markdown([HEADS, ...rows]);
}

const range = (values: readonly number[]): string =>
  `${Math.min(...values).toFixed(1)}–${Math.max(...values).toFixed(1)}`;

function markdown([heads = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(heads), rule, ...rows.map(line)].join('\n');
}
