import { execFile } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { ClientName } from '../clients/all';
import { ClientProcess } from '../process';
import type { Queues } from '../queues';
import type { Job, Sample } from '../scenario/job';
import { consume, publish } from '../scenario/scenarios';
import { median } from '../statistics';

const run = promisify(execFile);

/** A client in another language. Debian has each of them, and its compiler. */
interface Language {
  readonly title: string;
  /** What has to be on the machine, and the packages of Debian that bring it. */
  readonly needs: readonly string[];
  readonly packages: string;
  /** Compiles into `folder`. Returns the command that runs it. */
  readonly build: (folder: string) => Promise<readonly string[]>;
  readonly ackEvery: number;
}

const GO_PATH = '/usr/share/gocode';
const JARS = ['amqp-client', 'slf4j-api', 'slf4j-nop'].map((name) => `/usr/share/java/${name}.jar`);

async function buildC(folder: string): Promise<readonly string[]> {
  const program = join(folder, 'c-client');
  await run('gcc', ['-O2', '-o', program, join(__dirname, 'client.c'), '-lrabbitmq']);
  return [program];
}

async function buildGo(folder: string): Promise<readonly string[]> {
  const program = join(folder, 'go-client');
  const env = { ...process.env, GO111MODULE: 'off', GOPATH: GO_PATH, GOCACHE: join(folder, 'go-cache') };
  await run('go', ['build', '-o', program, join(__dirname, 'client.go')], { env });
  return [program];
}

async function buildJava(folder: string): Promise<readonly string[]> {
  const path = [folder, ...JARS].join(delimiter);
  await run('javac', ['-d', folder, '-cp', path, join(__dirname, 'Client.java')]);
  return ['java', '-cp', path, 'Client'];
}

const C = { needs: ['gcc', '/usr/include/amqp.h'], packages: 'gcc librabbitmq-dev', build: buildC };
const LANGUAGES: readonly Language[] = [
  { ...C, title: 'C: librabbitmq', ackEvery: 1 },
  { ...C, title: 'C: librabbitmq, an ack for 62 messages', ackEvery: 62 },
  {
    title: 'Go: amqp091-go',
    needs: ['go', `${GO_PATH}/src/github.com/rabbitmq/amqp091-go`],
    packages: 'golang-go golang-github-rabbitmq-amqp091-go-dev',
    build: buildGo,
    ackEvery: 1,
  },
  {
    title: 'Java: amqp-client',
    needs: ['javac', ...JARS],
    packages: 'default-jdk-headless librabbitmq-client-java libslf4j-java',
    build: buildJava,
    ackEvery: 1,
  },
];
const HERE: readonly ClientName[] = ['instance-queue', 'amqplib'];

/** Runs one job in a process of its own, which ends with it. */
type Runner = (job: Job) => Promise<Sample>;

/**
 * This library beside clients in other languages, with the same guarantees: confirms, mandatory messages with ids, acks. A process
 * for each sample, in turns; the first quarter of the messages warms it up. As Markdown.
 */
export async function languageFigures(url: string, queues: Queues, rounds: number, scale: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-bench-'));
  try {
    const runners = new Map<string, Runner>(HERE.map((client) => [`JavaScript: ${client}`, inNode(client, url)]));
    const missing: string[] = [];
    for (const language of LANGUAGES) {
      const why = await whyNot(language);
      if (why === undefined) runners.set(language.title, inLanguage(await language.build(folder), language, url));
      else missing.push(`${language.title} is left out: ${why} (Debian: ${language.packages}).`);
    }
    const count = Math.round(MANY * scale);
    const jobs = [publish('publish', count), consume('consume', count, 'sync')].map(({ job }) => job);
    const samples = await sampled(runners, jobs, queues, rounds);
    return [table([...runners.keys()], samples), ...missing].join('\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const MANY = 200_000;

async function sampled(
  runners: ReadonlyMap<string, Runner>,
  jobs: readonly ((queue: string) => Job)[],
  queues: Queues,
  rounds: number,
): Promise<ReadonlyMap<string, readonly Sample[][]>> {
  const samples = new Map([...runners.keys()].map((name) => [name, jobs.map((): Sample[] => [])]));
  const order = [...runners];
  for (let round = 0; round < rounds; round++) {
    for (const [i, jobOf] of jobs.entries()) {
      for (const [name, runner] of order) {
        const job = jobOf('bench-languages');
        await queues.prepare(job);
        const sample = await runner(job);
        samples.get(name)?.[i]?.push(sample);
        console.error(`${job.kind} · ${name} · ${round + 1}: ${(sample.cpu / sample.messages).toFixed(2)} µs`);
      }
    }
    const first = order.shift();
    if (first) order.push(first);
  }
  return samples;
}

function inNode(client: ClientName, url: string): Runner {
  return async (job) => {
    const process = await ClientProcess.start(client, url);
    try {
      return await process.run(job);
    } finally {
      process.stop();
    }
  };
}

function inLanguage([program = '', ...first]: readonly string[], { ackEvery }: Language, url: string): Runner {
  const { hostname, port, username, password, pathname } = new URL(url);
  const vhost = decodeURIComponent(pathname.slice(1)) || '/';
  const address = [hostname, port, decodeURIComponent(username), decodeURIComponent(password), vhost];
  return async (job) => {
    if (job.kind === 'round-trip') throw new Error('Other languages publish and consume only.');
    const size = job.kind === 'publish' ? [job.inFlight, job.bytes] : [job.prefetch, 0];
    const numbers = [job.count, job.warmUp, ...size, ackEvery].map(String);
    const { stdout } = await run(program, [...first, job.kind, ...address, job.queue, ...numbers]);
    return JSON.parse(stdout) as Sample;
  };
}

/** Why this client cannot be built here; undefined: it can. */
async function whyNot({ needs }: Language): Promise<string | undefined> {
  for (const need of needs) {
    try {
      if (need.startsWith('/')) accessSync(need);
      else await run('which', [need]);
    } catch {
      return `no ${need}`;
    }
  }
  return undefined;
}

function table(names: readonly string[], samples: ReadonlyMap<string, readonly Sample[][]>): string {
  const cost = (name: string, i: number): readonly number[] =>
    samples.get(name)?.[i]?.map(({ cpu, messages }) => cpu / messages) ?? [];
  const rate = (name: string, i: number): number =>
    median(samples.get(name)?.[i]?.map(({ messages, ms }) => messages / ms) ?? []);
  /** Within each round, so that a slow phase of the machine affects both. */
  const ratio = (name: string, i: number, to: string): string => {
    const base = cost(to, i);
    if (base.length === 0) return '–';
    return median(cost(name, i).map((value, round) => value / (base[round] ?? NaN))).toFixed(2);
  };
  const cells = (name: string, i: number): string[] => [
    rate(name, i).toFixed(0),
    median(cost(name, i)).toFixed(2),
    ratio(name, i, 'C: librabbitmq'),
  ];
  const rows = names.map((name) => [name, ...cells(name, 0), ...cells(name, 1)]);
  const heads = ['client', 'publish k/s', 'CPU µs', '× C', 'consume k/s', 'CPU µs', '× C'];
  const lines = [heads, heads.map((_, i) => (i === 0 ? '---' : '--:')), ...rows];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}
