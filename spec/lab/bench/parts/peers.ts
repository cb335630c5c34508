import type { Part } from '../bench';
import { inWarmProcesses } from '../scenario/rounds';
import { consume, publish, roundTrip, scaled, type Scenario } from '../scenario/scenarios';
import {
  cost,
  medianColumn,
  ratioColumn,
  spreadColumn,
  table,
  throughput,
  trip,
  unlessTrips,
  type Column,
} from '../table';

/** Small messages per round: with 40,000, recompilation after each idle phase would be a tenth of the cost. */
const MANY = 120_000;
const LEAST_TRIPS = 8;
/** Rounds that do not count. */
const WARM_UPS = 2;

const both = (head: string, metric: typeof cost): readonly Column[] => [
  medianColumn(head, unlessTrips(metric), 1),
  spreadColumn(unlessTrips(metric), 1),
  ratioColumn('amqplib', unlessTrips(metric)),
  ratioColumn('limit', unlessTrips(metric)),
];
const COLUMNS: readonly Column[] = [
  ...both('k/s', throughput),
  ...both('CPU µs', cost),
  medianColumn('p50 ms', trip(0.5), 2),
  medianColumn('p99 ms', trip(0.99), 2),
];

/** All clients in the scenarios that matter most. */
export const peers: Part = async (bench) =>
  table(await inWarmProcesses(bench, peersOf(bench.clients), scenarios(bench.scale), WARM_UPS), COLUMNS);

/** Kinds of messages other than small transient bytes, and round trips of larger ones. */
export const variations: Part = async (bench) =>
  table(await inWarmProcesses(bench, peersOf(bench.clients), kinds(bench.scale), WARM_UPS), COLUMNS);

/** All but the second limit, which concerns sizes. */
const peersOf = <Name extends string>(clients: readonly Name[]): readonly Name[] =>
  clients.filter((client) => client !== 'limit, same properties');

function scenarios(scale: number): readonly Scenario[] {
  const many = scaled(MANY, scale);
  return [
    publish('publish, confirmed, 1000 in flight', many),
    consume('consume + ack, sync worker, prefetch 250', many, 'sync'),
    consume('consume + ack, async worker, prefetch 250', many, 'async'),
    trips('round trip, one at a time, one connection', scale),
  ];
}

function kinds(scale: number): readonly Scenario[] {
  return [
    publish('publish JSON', scaled(MANY, scale), { json: true }),
    publish('publish, persistent, quorum queue', scaled(24_000, scale), { persistent: true, type: 'quorum' }),
    trips('round trip, two connections', scale, { connections: 2 }),
    trips('round trip, 4 KiB', scale, { bytes: 4 * 1024 }),
    trips('round trip, 4 KiB, two connections', scale, { bytes: 4 * 1024, connections: 2 }),
    trips('round trip, 64 KiB', scale, { bytes: 64 * 1024 }),
    trips('round trip, 64 KiB, two connections', scale, { bytes: 64 * 1024, connections: 2 }),
  ];
}

/** Few: with Nagle's algorithm one takes 44 ms. */
const trips = (title: string, scale: number, more = {}): Scenario =>
  roundTrip(title, Math.max(LEAST_TRIPS, scaled(100, scale)), 1000 * scale, more);
