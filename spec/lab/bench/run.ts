/**
 * `npm run bench`: compares this library with its peers on one broker, each client in a process of its own, in turns. Then measures
 * other sizes and kinds of messages, and then this library alone.
 * Flags: `--quick` (the first part, short), `--rounds 7`, `--scale 1`, `--clients amqplib,instance-queue`,
 * `--scenarios publish`, `--parts peers,variations,own,languages`, `--own memory`.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { startBroker } from '../../../compose/broker';
import { CLIENT_NAMES, isClientName, type ClientName } from './clients/all';
import { languageFigures } from './languages/languages';
import { ownFigures } from './own/own';
import { ClientProcess } from './process';
import { Queues } from './queues';
import type { Sample } from './scenario/job';
import { scenarios, variations, type Scenario } from './scenario/scenarios';
import { table, type Measured } from './table';

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    scale: { type: 'string' },
    clients: { type: 'string' },
    scenarios: { type: 'string', default: '' },
    parts: { type: 'string' },
    own: { type: 'string', default: '' },
  },
});

async function main(): Promise<void> {
  const rounds = Number(flags.rounds ?? 5);
  const scale = Number(flags.scale ?? (flags.quick ? 0.027 : 1));
  const parts = flags.parts?.split(',') ?? (flags.quick ? ['peers'] : ['peers', 'variations', 'own', 'languages']);
  const wanted = [
    ...(parts.includes('peers') ? scenarios(scale) : []),
    ...(parts.includes('variations') ? variations(scale) : []),
  ].filter(({ title }) => title.includes(flags.scenarios));
  const names = flags.clients?.split(/,(?! wire)/).map((name) => name.trim()) ?? CLIENT_NAMES;
  const clients = names.filter(isClientName);
  if (clients.length < names.length) throw new Error(`Known clients: ${CLIENT_NAMES.join('; ')}.`);

  const broker = await startBroker({ say: (line) => console.error(line) });
  const processes = new Map<ClientName, ClientProcess>();
  const queues = await Queues.open(broker.url);
  try {
    for (const client of clients) processes.set(client, await ClientProcess.start(client, broker.url));
    const measured: Measured[] = [];
    for (const scenario of wanted) measured.push(...(await compare(scenario, processes, queues, rounds)));
    if (measured.length > 0) console.log(`\n${table(measured)}\n`);
    if (parts.includes('languages')) console.log(`\n${await languageFigures(broker.url, queues, rounds, scale)}\n`);
    if (parts.includes('own')) console.log(`${await ownFigures(broker.url, scale, flags.own)}\n`);
    const { model = 'unknown' } = cpus()[0] ?? {};
    console.log(
      `RabbitMQ ${broker.version}, Node ${process.versions.node}, ${cpus().length} × ${model}, ${new Date().toISOString().slice(0, 10)}; medians of ${rounds} rounds.`,
    );
    if (scale < 1)
      console.log(
        'Rounds this short are paid to the compiler for a good part: what a message costs, the whole bench tells.',
      );
  } finally {
    for (const client of processes.values()) client.stop();
    await queues.close();
    await broker.stop();
  }
}

/** Runs every client once per round, in rotating order, so that disturbances of the machine affect all alike. */
async function compare(
  scenario: Scenario,
  processes: ReadonlyMap<ClientName, ClientProcess>,
  queues: Queues,
  rounds: number,
): Promise<Measured[]> {
  const samples = new Map<ClientName, Sample[]>([...processes.keys()].map((client) => [client, []]));
  const order = [...processes];
  // The first two warm up.
  for (let round = -1; round <= rounds; round++) {
    for (const [client, process] of order) {
      const queue = `bench-${client}`;
      const job = scenario.job(queue);
      await queues.prepare(job);
      const sample = await process.run(job);
      if (round > 0) samples.get(client)?.push(sample);
      console.error(
        `${scenario.title} · ${client} · ${round < 1 ? 'warm-up' : round}: ${(sample.messages / sample.ms).toFixed(1)} k/s, ${(sample.cpu / sample.messages).toFixed(1)} µs`,
      );
    }
    const first = order.shift();
    if (first) order.push(first);
  }
  return [...samples].map(([client, all]) => ({ scenario: scenario.title, client, samples: all }));
}

main().then(
  // Peers may leave resources open, which keep a process alive.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
