/**
 * `npm run bench`: this library beside other clients on one broker, and alone; what each part measures is told in
 * demo/guides/benchmarks.md.
 * Flags: `--parts cold,warm`, `--quick` (the part `peers`, short), `--rounds 7`, `--scale 1`, `--clients amqplib,instance-queue`,
 * `--scenarios publish` (only those whose title, or the program's name, contains that).
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startBroker } from '../../../compose/broker';
import type { Part } from './bench';
import { clientsOf, missingPackage } from './clients/all';
import { cold } from './cold/cold';
import { languages } from './languages/languages';
import { peers, variations } from './parts/peers';
import { sizes } from './parts/sizes';
import { warm } from './parts/warm';
import { Programs } from './programs';
import { Queues } from './queues';
import { scale as scalePart } from './scale/scale';
import { tail } from './tail/tail';

const PARTS: Readonly<Record<string, Part>> = {
  peers,
  variations,
  cold,
  warm,
  sizes,
  tail,
  scale: scalePart,
  languages,
};

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '5' },
    scale: { type: 'string' },
    clients: { type: 'string' },
    scenarios: { type: 'string', default: '' },
    parts: { type: 'string' },
  },
});

async function main(): Promise<void> {
  const rounds = positive('rounds', flags.rounds);
  const scale = positive('scale', flags.scale ?? (flags.quick ? '0.027' : '1'));
  const parts = partsOf(flags.parts ?? (flags.quick ? 'peers' : Object.keys(PARTS).join(',')));
  const asked = clientsOf(flags.clients);
  const absent = asked.flatMap((client) => {
    const needs = missingPackage(client);
    return needs === undefined ? [] : [`${client} is left out: the package ${needs} is not installed.`];
  });
  const clients = asked.filter((client) => missingPackage(client) === undefined);

  const programs = await Programs.compile();
  const broker = await startBroker({ say: (line) => console.error(line) });
  const queues = await Queues.open(broker.url);
  try {
    const wants = (title: string): boolean => title.includes(flags.scenarios);
    for (const [name, part] of parts) {
      const began = performance.now();
      const figures = await part({ broker, queues, programs, rounds, scale, clients, wants });
      console.error(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s`);
      console.log(`\n### ${name}\n\n${figures}\n`);
    }
    const { model = 'unknown' } = cpus()[0] ?? {};
    console.log(
      `RabbitMQ ${broker.version}, Node ${process.versions.node}, ${cpus().length} × ${model}, ${new Date().toISOString().slice(0, 10)}; medians of ${rounds} rounds, scale ${scale}.`,
    );
    for (const line of absent) console.log(line);
    if (scale < 0.2) console.log('Rounds this short are paid to the compiler for a good part: see the whole bench.');
  } finally {
    await queues.close();
    await broker.stop();
  }
}

function partsOf(flag: string): readonly (readonly [name: string, part: Part])[] {
  return flag.split(',').map((name) => {
    const part = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
    if (!part) throw new Error(`Expected \`--parts\` from ${Object.keys(PARTS).join(', ')}. Got: ${name}.`);
    return [name, part];
  });
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`Expected \`--${flag}\` to be a number above 0, got ${text}.`);
  return value;
}

main().then(
  // Peers may leave resources open, which keep a process alive.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
