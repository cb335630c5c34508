import type { Bench, Part } from '../bench';
import type { ClientName } from '../clients/all';
import { answerOf } from '../process';
import { inFreshProcesses } from '../scenario/rounds';
import { consume, publish, scaled, type Scenario } from '../scenario/scenarios';
import { median, medianRatio } from '../statistics';
import { cost, costSinceStart, markdown, medianColumn, ratioColumn, spreadColumn, table, type Column } from '../table';
import type { StartUp } from './start-up.program';

const CLIENTS: readonly ClientName[] = ['instance-queue', 'instance-queue, wire: false', 'amqplib'];
/** What this library depends on, in place of `require('amqplib')` alone. */
const DEPENDENCIES = 'amqplib, rxjs and pino';
const FIRST = 3_000;
const PER_SECOND = 100;
const COLUMNS: readonly Column[] = [
  medianColumn('CPU µs', cost, 0),
  spreadColumn(cost, 0),
  ratioColumn('amqplib', cost),
  medianColumn('with start µs', costSinceStart, 0),
  ratioColumn('amqplib', costSinceStart),
];

/** A service that has just been started: to load, to connect, and the first messages, in a fresh process for each sample. */
export const cold: Part = async (bench) => {
  const clients = CLIENTS.filter((client) => bench.clients.includes(client));
  const count = scaled(FIRST, bench.scale);
  const started = bench.wants('start-up') ? await startUps(bench, [...clients, DEPENDENCIES]) : '';
  const measured = await inFreshProcesses(bench, clients, scenarios(count));
  return [
    '`require` and `connect`, two connections each:',
    started,
    `The first ${count.toLocaleString('en')} messages of a process; "with start" is CPU since the process was started, with Node.js itself, \`require\` and \`connect\`:`,
    table(measured, COLUMNS),
  ].join('\n\n');
};

function scenarios(count: number): readonly Scenario[] {
  const slowly = { warmUp: 0, perSecond: PER_SECOND };
  return [
    publish('publish, one after the other, 100/s', count, { ...slowly, inFlight: 1 }),
    publish('publish in a burst, 1000 in flight', count, { warmUp: 0 }),
    consume('consume, 100/s', count, 'async', slowly),
    consume('consume a full queue, prefetch 250', count, 'async', { warmUp: 0 }),
  ];
}

/** As many processes as this for each client in a round: each takes a tenth of a second. */
const STARTS = 3;

async function startUps({ broker, programs, rounds }: Bench, clients: readonly string[]): Promise<string> {
  const samples = new Map(clients.map((client): [string, StartUp[]] => [client, []]));
  for (let round = 0; round < rounds * STARTS; round++) {
    for (const [client, all] of samples) {
      const child = programs.start('start-up', [broker.url, client]);
      all.push((await answerOf(child, `start-up of ${client}`)) as StartUp);
      child.kill('SIGKILL');
    }
  }
  const together = (all: readonly StartUp[]): readonly number[] =>
    all.map(({ loaded, connected }) => loaded + connected);
  const cpu = (all: readonly StartUp[]): readonly number[] => all.map((one) => one.cpu / 1000);
  const base = samples.get('amqplib');
  const rows = [...samples].map(([client, all]) => [
    client,
    median(all.map(({ loaded }) => loaded)).toFixed(1),
    median(all.map(({ connected }) => connected)).toFixed(1),
    ...[together, cpu].flatMap((what) => [
      median(what(all)).toFixed(1),
      base ? medianRatio(what(all), what(base)).toFixed(2) : '–',
    ]),
  ]);
  return markdown([['client', 'require ms', 'connect ms', 'together ms', '× amqplib', 'CPU ms', '× amqplib'], ...rows]);
}
