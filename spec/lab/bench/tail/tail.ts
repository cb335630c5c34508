import type { Bench, Part } from '../bench';
import type { ClientName } from '../clients/all';
import { answerOf } from '../process';
import { inWarmProcesses } from '../scenario/rounds';
import { consume, publish, roundTrip, scaled } from '../scenario/scenarios';
import { medianColumn, pausesColumn, ratioColumn, table, trip, type Column, type Measured } from '../table';

const CLIENTS: readonly ClientName[] = [
  'instance-queue',
  'instance-queue, wire: false',
  'amqplib with noDelay',
  'limit',
];
const TRIPS = 20_000;
/** Messages of the scenarios with much garbage. */
const MANY = 200_000;
const PER_SECOND = 5_000;
/** Of round trips, ms, before each round at any scale: they compile slowly. */
const WARM_UP = 1000;
const LONG = 5;
const PEER = 'amqplib with noDelay';

const COLUMNS: readonly Column[] = [
  ...[0.5, 0.99, 0.999].map((share) => medianColumn(`p${share * 100} ms`, trip(share), 3)),
  medianColumn('longest ms', trip(1), 1),
  ratioColumn(PEER, trip(0.5), 'p50 × amqplib'),
  ratioColumn(PEER, trip(0.99), 'p99 × amqplib'),
  pausesColumn(LONG),
];

/** The slowest round trips, and the garbage collections that may cause them. */
export const tail: Part = async (bench) => {
  const clients = CLIENTS.filter((client) => bench.clients.includes(client));
  const count = scaled(TRIPS, bench.scale);
  const trips = (title: string): Promise<Measured[]> =>
    inWarmProcesses(bench, clients, [roundTrip(title, count, WARM_UP, { pauses: true })]);
  const alone = await trips('alone');
  const beside = await besideLoad(bench, () => trips(`beside ${PER_SECOND.toLocaleString('en')} messages a second`));
  const many = scaled(MANY, bench.scale);
  const busy = await inWarmProcesses(bench, clients, [
    publish('publish, 1000 in flight', many, { pauses: true }),
    consume('consume, async worker, prefetch 250', many, 'async', { pauses: true }),
  ]);
  return [
    `${count.toLocaleString('en')} round trips a round, 256 B, one at a time on one connection (amqplib with \`noDelay\`):`,
    table([...alone, ...beside], COLUMNS),
    `Garbage collections in ${bench.rounds} rounds of ${many.toLocaleString('en')} messages:`,
    table(busy, [pausesColumn(LONG), pausesColumn(1)]),
  ].join('\n\n');
};

/** Another process publishes and consumes meanwhile. */
async function besideLoad<T>({ broker, programs }: Bench, work: () => Promise<T>): Promise<T> {
  const load = programs.start('load', [broker.url, String(PER_SECOND)]);
  try {
    await answerOf(load, 'the load');
    return await work();
  } finally {
    load.kill('SIGKILL');
  }
}
