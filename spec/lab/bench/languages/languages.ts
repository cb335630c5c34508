import { execFile } from 'node:child_process';
import { accessSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { Part } from '../bench';
import type { ClientName } from '../clients/all';
import type { Sample } from '../scenario/job';
import { fresh, inTurns, type Runner } from '../scenario/rounds';
import { consume, publish, scaled } from '../scenario/scenarios';
import { cost, medianColumn, ratioColumn, spreadColumn, table, throughput, type Column, type Measured } from '../table';

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

const MANY = 200_000;
const TO = 'C: librabbitmq';

const COLUMNS: readonly Column[] = [
  medianColumn('k/s', throughput, 0),
  medianColumn('CPU µs', cost, 2),
  spreadColumn(cost, 2),
  ratioColumn(TO, cost, '× C'),
];

/**
 * This library beside clients in other languages, with the same guarantees: confirms, mandatory messages with ids, acks. A process
 * for each sample, in turns; the first quarter of the messages warms it up.
 */
export const languages: Part = async (bench) => {
  const folder = mkdtempSync(join(tmpdir(), 'instance-queue-bench-'));
  try {
    const here = HERE.filter((client) => bench.clients.includes(client));
    const runners = new Map<string, Runner>(here.map((client) => [`JavaScript: ${client}`, fresh(bench, client)]));
    const missing: string[] = [];
    for (const language of LANGUAGES) {
      const why = await whyNot(language);
      if (why === undefined)
        runners.set(language.title, inLanguage(await language.build(folder), language, bench.broker.url));
      else missing.push(`${language.title} is left out: ${why} (Debian: ${language.packages}).`);
    }
    const count = scaled(MANY, bench.scale);
    const scenarios = [
      publish('publish, 1000 in flight', count),
      consume('consume, sync worker, prefetch 250', count, 'sync'),
    ].filter(({ title }) => bench.wants(title));
    const measured: Measured[] = [];
    for (const scenario of scenarios) measured.push(...(await inTurns(bench, runners, scenario)));
    return [table(measured, COLUMNS), ...missing].join('\n\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

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
