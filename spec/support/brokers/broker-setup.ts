/**
 * Jest's global setup for the tests that need a RabbitMQ. It starts one private broker per worker, all at once.
 *
 * If `AMQP_URL` is set, ordinary tests use that broker, and only tests that restart, kill or reconfigure a broker use the
 * private ones. If the machine cannot start private brokers then, only those tests fail.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBroker, type Broker } from '../../../compose/broker';
import { publishBrokers } from './test-brokers';

/** What the teardown stops. It runs in the same process, but in another module registry: hence a global. */
export interface BrokerGlobals {
  brokersToStop?: Broker[];
}

/** The part of Jest's configuration that matters here. */
interface Run {
  readonly maxWorkers: number;
  readonly testPathPatterns: { readonly patterns: readonly string[] };
}

export default async function setup(run: Run, { rootDir }: { readonly rootDir: string }) {
  const toStop: Broker[] = [];
  (globalThis as BrokerGlobals).brokersToStop = toStop;

  const url = process.env.AMQP_URL;
  const shared = url === undefined || url === '' ? undefined : await startBroker({ say });
  if (shared) toStop.push(shared);

  // One file needs one worker, and Jest chooses which. With more files, any worker may get any of them.
  const count = selectedFiles(run, rootDir) === 1 ? 1 : run.maxWorkers;
  const started = await Promise.allSettled(
    Array.from({ length: count }, (_, index) =>
      startBroker({ private: true, say: (line) => say(`[${index + 1}] ${line}`) }),
    ),
  );
  const own = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  toStop.push(...own);

  const failure = started.find((result) => result.status === 'rejected');
  if (failure && !shared) {
    await Promise.all(toStop.map((broker) => broker.stop()));
    throw failure.reason;
  }
  publishBrokers({
    shared: shared?.handle,
    own: failure ? [] : own.map((broker) => broker.handle),
    failure: failure && String(failure.reason),
  });
}

function say(line: string) {
  process.stderr.write(`broker: ${line}\n`);
}

/** How many of the selected test files need a broker. */
function selectedFiles(run: Run, rootDir: string): number {
  const patterns = run.testPathPatterns.patterns.map((pattern) => new RegExp(pattern, 'i'));
  return ['integration', 'fault']
    .flatMap((room) => testFiles(join(rootDir, 'spec', room)))
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => pattern.test(file))).length;
}

function testFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.spec.ts'))
    .map((name) => join(folder, name));
}
