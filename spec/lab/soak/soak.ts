import { setTimeout as pause } from 'node:timers/promises';
import type { Broker } from '../../../compose/broker';
import { FaultProxy } from 'instance-queue/testing';
import { uniqueName } from '../../support/unique-name';
import { eventually } from '../../support/waiting';
import { Book } from './book';
import { faults, type Fault, type Kind } from './faults';
import { footprint, grown } from './footprint';
import { inflict } from './inflict';
import { Queues } from './queues';
import { Rests } from './rests';
import { seeded } from './seeded';
import { Service, WRITERS } from './service';
import { RATE } from './writer';

export interface SoakOptions {
  /** A private broker, which may be alarmed and restarted. */
  readonly broker: Broker;
  readonly seed: number;
  /** The number of faults; rests not included. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface SoakReport {
  readonly faults: Readonly<Partial<Record<Kind, number>>>;
  readonly sent: number;
  /** Messages settled more than once: each was in flight at a loss. */
  readonly duplicates: number;
  /** The heap at each rest, bytes. */
  readonly heaps: readonly number[];
  /** All violations. */
  readonly complaints: readonly string[];
}

interface Stage {
  readonly broker: Broker;
  readonly queues: Queues;
  readonly book: Book;
  readonly services: readonly Service[];
}

const SERVICES = 2;
/** After each round everything comes to rest, and has to be as after the first one. */
const ACTS = 4;
/** ms for that on a busy machine. Whatever is not at rest by then hangs. */
const REST = 120_000;

/** Injects faults into services that send, handle and fail, and accounts for every message. */
export async function soak({ broker, seed, seconds, say }: SoakOptions): Promise<SoakReport> {
  const warnings: string[] = [];
  const warned = (warning: Error): void => void warnings.push(String(warning));
  process.on('warning', warned);
  const name = uniqueName('soak');
  const before = await footprint(broker, name);
  const queues = new Queues(broker, name);
  const book = new Book(Math.ceil(SERVICES * WRITERS * RATE * seconds * 1.5) + 20_000);
  const services: Service[] = [];
  for (let i = 1; i <= SERVICES; i++) {
    const proxy = await FaultProxy.before(broker.url);
    const luck = seeded(seed + i);
    services.push(new Service({ name: `${name}.${i}`, brokerUrl: broker.url, proxy, queues, book, luck }));
  }
  const stage = { broker, queues, book, services };
  const rests = new Rests(broker, name, services);
  const plan = faults(seed);
  const counts: Partial<Record<Kind, number>> = {};
  const wrong: string[] = [];
  for (let act = 1; act <= ACTS && wrong.length === 0; act++) {
    for (const { kind } of await trouble(stage, plan, (seconds * 1000) / ACTS)) counts[kind] = (counts[kind] ?? 0) + 1;
    const paused = performance.now();
    const complaints = [...(await calm(stage)), ...(await rests.look())];
    wrong.push(...complaints.map((complaint) => `act ${act}: ${complaint}`));
    const rest = ((performance.now() - paused) / 1000).toFixed(1);
    say(`act ${act} of ${ACTS}: ${book.sent} messages so far; at rest after ${rest} s`);
  }
  for (const service of services) wrong.push(...(await service.close()));
  await queues.readDeadLetters(book);
  wrong.push(...book.complaints());
  await queues.delete();
  const left = async (): Promise<string[]> => grown(before, await footprint(broker, name));
  await eventually(async () => (await left()).length === 0, REST).catch(async () => wrong.push(...(await left())));
  process.off('warning', warned);
  return {
    faults: counts,
    sent: book.sent,
    duplicates: book.duplicates,
    heaps: rests.heaps,
    complaints: [...wrong, ...warnings],
  };
}

/** Sends messages and injects faults for this time, ms. Returns the faults. */
async function trouble({ broker, services }: Stage, plan: Iterator<Fault, never>, ms: number): Promise<Fault[]> {
  const suffered: Fault[] = [];
  const end = performance.now() + ms;
  for (const service of services) service.write();
  // By the clock: the last fault may take long, and the size of the book is fixed.
  const enough = setTimeout(() => {
    for (const service of services) service.pause();
  }, ms);
  while (performance.now() < end) {
    const fault = plan.next().value;
    const { after, whom } = fault;
    suffered.push(fault);
    await pause(after);
    const victim = services[Math.floor(whom * services.length)];
    if (!victim) throw new Error('Nobody to suffer');
    await inflict(fault, victim, broker);
  }
  clearTimeout(enough);
  for (const service of services) service.pause();
  return suffered;
}

/** Waits until every message is settled. Returns what is unsettled after the limit. */
async function calm({ queues, services }: Stage): Promise<string[]> {
  const quiet = async (): Promise<boolean> => services.every((one) => one.quiet) && (await queues.left()) === 0;
  if (await eventually(quiet, REST).catch(() => false)) return [];
  const states = services.map(({ name, queue: { health, metrics } }) => ({ name, health, metrics }));
  return [`no rest within ${REST} ms, ${await queues.left()} messages at the broker: ${JSON.stringify(states)}`];
}
