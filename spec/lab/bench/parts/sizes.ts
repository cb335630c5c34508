import type { Part } from '../bench';
import type { ClientName } from '../clients/all';
import { inWarmProcesses } from '../scenario/rounds';
import { consume, publish, scaled, type Scenario } from '../scenario/scenarios';
import { across, cost, medianColumn, ratioColumn, throughput } from '../table';

const CLIENTS: readonly ClientName[] = [
  'instance-queue',
  'limit, same properties',
  'limit',
  'amqplib',
  '@cloudamqp/amqp-client',
  'rabbitmq-client',
];
const KIB = 1024;
const SIZES = [16, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB];
const MANY = 40_000;
/** Bytes published per round, and bytes in the queue to consume, at most. */
const [PUBLISHED, QUEUED] = [250 * KIB * KIB, 100 * KIB * KIB];

/** Throughput from 16 B to 256 KiB. */
export const sizes: Part = async (bench) => {
  const clients = CLIENTS.filter((client) => bench.clients.includes(client));
  const published = await inWarmProcesses(bench, clients, scenarios('publish', PUBLISHED, bench.scale));
  const consumers = clients.filter((client) => client !== 'limit, same properties');
  const consumed = await inWarmProcesses(bench, consumers, scenarios('consume', QUEUED, bench.scale));
  return [
    'Messages published a second, in thousands:',
    across(published, clients, medianColumn('', throughput, 2)),
    'The same × the limit that sends what this library sends (`mandatory`, `messageId`, `contentType`):',
    across(published, clients, ratioColumn('limit, same properties', throughput)),
    'CPU per message published, µs:',
    across(published, clients, medianColumn('', cost, 2)),
    'Messages consumed and acknowledged a second × amqplib (sync worker):',
    across(consumed, consumers, ratioColumn('amqplib', throughput)),
    'CPU per message consumed × amqplib:',
    across(consumed, consumers, ratioColumn('amqplib', cost)),
  ].join('\n\n');
};

function scenarios(kind: 'publish' | 'consume', most: number, scale: number): readonly Scenario[] {
  return SIZES.map((bytes) => {
    const title = `${kind} ${bytes < KIB ? `${bytes} B` : `${bytes / KIB} KiB`}`;
    const count = scaled(Math.min(MANY, most / bytes), scale);
    return kind === 'publish' ? publish(title, count, { bytes }) : consume(title, count, 'sync', { bytes });
  });
}
