import type { Bench } from '../bench';
import type { ClientName } from '../clients/all';
import { ClientProcess } from '../process';
import type { Measured } from '../table';
import type { Job, Sample } from './job';
import type { Scenario } from './scenarios';

/** Runs one job of a client. */
export type Runner = (job: Job) => Promise<Sample>;

/** Runs every client once per round, in rotating order, so that disturbances of the machine affect all alike. */
export async function inTurns(
  { queues, rounds }: Bench,
  runners: ReadonlyMap<string, Runner>,
  { title, job: jobOf }: Scenario,
  warmUps = 0,
): Promise<Measured[]> {
  const samples = new Map([...runners.keys()].map((client): [string, Sample[]] => [client, []]));
  const order = [...runners];
  for (let round = 1 - warmUps; round <= rounds; round++) {
    for (const [client, run] of order) {
      const job = jobOf(`bench-${client}`);
      await queues.prepare(job);
      const [sample] = await Promise.all([run(job), queues.feed(job)]);
      if (round > 0) samples.get(client)?.push(sample);
      console.error(
        `${title} · ${client} · ${round < 1 ? 'warm-up' : round}: ${(sample.messages / sample.ms).toFixed(1)} k/s, ${(sample.cpu / sample.messages).toFixed(2)} µs`,
      );
    }
    const first = order.shift();
    if (first) order.push(first);
  }
  return [...samples].map(([client, all]) => ({ scenario: title, client, samples: all }));
}

/** In one process for each client, which lives for all scenarios; the first rounds of each warm up. */
export async function inWarmProcesses(
  bench: Bench,
  clients: readonly ClientName[],
  scenarios: readonly Scenario[],
  warmUps = 1,
): Promise<Measured[]> {
  const wanted = scenarios.filter(({ title }) => bench.wants(title));
  const processes = new Map<ClientName, ClientProcess>();
  try {
    if (wanted.length === 0) return [];
    for (const client of clients)
      processes.set(client, await ClientProcess.start(client, bench.broker.url, bench.programs));
    const runners = new Map([...processes].map(([client, process]) => [client, (job: Job) => process.run(job)]));
    const measured: Measured[] = [];
    for (const scenario of wanted) measured.push(...(await inTurns(bench, runners, scenario, warmUps)));
    return measured;
  } finally {
    for (const process of processes.values()) process.stop();
  }
}

/** In a process for each sample. */
export async function inFreshProcesses(
  bench: Bench,
  clients: readonly ClientName[],
  scenarios: readonly Scenario[],
): Promise<Measured[]> {
  const runners = new Map(clients.map((client) => [client, fresh(bench, client)]));
  const measured: Measured[] = [];
  for (const scenario of scenarios.filter(({ title }) => bench.wants(title)))
    measured.push(...(await inTurns(bench, runners, scenario)));
  return measured;
}

/** Runs each job in a process of its own, which ends with it. */
export function fresh({ broker, programs }: Bench, client: ClientName): Runner {
  return async (job) => {
    const process = await ClientProcess.start(client, broker.url, programs);
    try {
      return await process.run(job);
    } finally {
      process.stop();
    }
  };
}
