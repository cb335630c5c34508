import { CLIENT_NAMES, clientsOf, missingPackage } from '../../lab/bench/clients/all';
import type { Pause, Sample } from '../../lab/bench/scenario/job';
import { median, medianRatio, quantile } from '../../lab/bench/statistics';
import {
  across,
  cost,
  costSinceStart,
  markdown,
  medianColumn,
  pausesColumn,
  ratioColumn,
  spreadColumn,
  table,
  throughput,
  trip,
  unlessTrips,
  type Measured,
} from '../../lab/bench/table';

const sample = (cpu: number, more: Partial<Sample> = {}): Sample => ({ messages: 10, ms: 5, cpu, ...more });
const measured = (client: string, cpus: readonly number[], more: Partial<Sample> = {}): Measured => ({
  scenario: 'publish',
  client,
  samples: cpus.map((cpu) => sample(cpu, more)),
});

describe('statistics of the bench', () => {
  it('a quantile between two values lies between them in proportion', () => {
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(quantile([10, 20], 0.9)).toBeCloseTo(19);
    expect(quantile([7], 0.99)).toBe(7);
  });

  it('a ratio is taken within each round, before the median', () => {
    // The second round was slow for both: of the medians it would be 0.67.
    expect(medianRatio([10, 200, 20], [20, 400, 30])).toBe(0.5);
  });
});

describe('the tables of the bench', () => {
  const ours = measured('instance-queue', [20, 40, 30], { sinceStart: 90 });
  const theirs = measured('amqplib', [40, 80, 60]);

  it('a row for each scenario and client: medians, their spread, and ratios', () => {
    const columns = [
      medianColumn('k/s', throughput, 1),
      medianColumn('CPU µs', cost, 2),
      spreadColumn(cost, 1),
      ratioColumn('amqplib', cost),
    ];
    expect(table([ours, theirs], columns).split('\n')).toEqual([
      '| scenario | client         | k/s | CPU µs | (spread) | × amqplib |',
      '| -------- | -------------- | --: | -----: | -------: | --------: |',
      '| publish  | instance-queue | 2.0 |   3.00 |  2.0–4.0 |      0.50 |',
      '| publish  | amqplib        | 2.0 |   6.00 |  4.0–8.0 |      1.00 |',
    ]);
  });

  it('a figure that was not measured, or whose client did not run, is a dash', () => {
    const since = medianColumn('', costSinceStart, 1);
    const of = (): undefined => undefined;
    expect([since.cell(ours, of), since.cell(theirs, of)]).toEqual(['9.0', '–']);
    expect(ratioColumn('amqplib', cost).cell(ours, of)).toBe('–');
    expect(medianColumn('', trip(0.5), 1).cell(ours, of)).toBe('–');
  });

  it('round trips have durations in place of rates', () => {
    const trips = measured('amqplib', [1], { trips: [1, 2, 3] });
    const of = (): undefined => undefined;
    expect(medianColumn('', trip(0.5), 1).cell(trips, of)).toBe('2.0');
    expect(medianColumn('', unlessTrips(cost), 1).cell(trips, of)).toBe('–');
  });

  it('a column for each client: one without a figure in a scenario has a dash there', () => {
    const other: Measured = { ...ours, scenario: 'consume' };
    expect(across([ours, theirs, other], ['instance-queue', 'amqplib'], ratioColumn('amqplib', cost))).toBe(
      [
        '|         | instance-queue | amqplib |',
        '| ------- | -------------: | ------: |',
        '| publish |           0.50 |    1.00 |',
        '| consume |              – |       – |',
      ].join('\n'),
    );
  });

  it('long pauses of all rounds are counted by kind, with the longest', () => {
    const pause = (kind: string, ms: number): Pause => ({ kind, ms });
    const one = measured('amqplib', [1, 1], {
      pauses: [pause('scavenge', 6), pause('mark-compact', 9.04), pause('scavenge', 5)],
    });
    const of = (): undefined => undefined;
    expect(pausesColumn(5).cell(one, of)).toBe('2 × mark-compact (longest 9.0 ms); 2 × scavenge (longest 6.0 ms)');
    expect(pausesColumn(10).cell(one, of)).toBe('0');
  });

  it('columns are as wide as a rule needs them', () => {
    expect(
      markdown([
        ['a', 'b'],
        ['1', '2'],
      ]),
    ).toBe('| a   |   b |\n| --- | --: |\n| 1   |   2 |');
  });
});

describe('the clients of a run', () => {
  it('all of them without the flag', () => {
    expect(clientsOf(undefined)).toEqual(CLIENT_NAMES);
  });

  it('names are separated by commas, also those that hold one', () => {
    expect(clientsOf('amqplib, instance-queue, wire: false,limit, same properties,rascal')).toEqual([
      'amqplib',
      'instance-queue, wire: false',
      'limit, same properties',
      'rascal',
    ]);
  });

  it('a package that is only for `import` counts as installed, too', () => {
    expect(CLIENT_NAMES.filter((client) => missingPackage(client) !== undefined)).toEqual([]);
  });

  it('an unknown name is refused with the known ones', () => {
    expect(() => clientsOf('amqplib,kafka')).toThrow(/Expected `--clients` from: limit; .*rascal\. Got: kafka\./);
  });
});
