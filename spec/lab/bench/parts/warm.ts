import type { Part } from '../bench';
import type { ClientName } from '../clients/all';
import { inFreshProcesses, inWarmProcesses } from '../scenario/rounds';
import { consume, publish, scaled, type Scenario } from '../scenario/scenarios';
import {
  cost,
  costSinceStart,
  medianColumn,
  ratioColumn,
  spreadColumn,
  table,
  throughput,
  type Column,
} from '../table';

const CLIENTS: readonly ClientName[] = ['instance-queue', 'instance-queue, wire: false', 'amqplib'];
const WARM = 200_000;
const FRESH = 60_000;

const RATES: readonly Column[] = [medianColumn('k/s', throughput, 1), ratioColumn('amqplib', throughput)];
const COSTS: readonly Column[] = [medianColumn('CPU µs', cost, 2), spreadColumn(cost, 2), ratioColumn('amqplib', cost)];

/** What a message costs once the code is compiled; and in a process that has just been started. */
export const warm: Part = async (bench) => {
  const clients = CLIENTS.filter((client) => bench.clients.includes(client));
  const count = scaled(WARM, bench.scale);
  const few = scaled(FRESH, bench.scale);
  const warmed = await inWarmProcesses(bench, clients, scenarios(count));
  const fresh = await inFreshProcesses(bench, clients, scenarios(few, { warmUp: 0 }));
  return [
    `${count.toLocaleString('en')} messages after a warm-up:`,
    table(warmed, [...RATES, ...COSTS]),
    `The first ${few.toLocaleString('en')} messages of a process; "with start" is CPU since the process was started, with Node.js itself, \`require\` and \`connect\`:`,
    table(fresh, [
      ...RATES,
      ...COSTS,
      medianColumn('with start µs', costSinceStart, 2),
      ratioColumn('amqplib', costSinceStart),
    ]),
  ].join('\n\n');
};

const scenarios = (count: number, more = {}): readonly Scenario[] => [
  publish('publish, 1000 in flight', count, more),
  consume('consume, sync worker, prefetch 250', count, 'sync', more),
  consume('consume, async worker, prefetch 250', count, 'async', more),
];
