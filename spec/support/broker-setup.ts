/**
 * Jest's global setup for the tests that need a RabbitMQ: one private broker for each worker, all started at once.
 * With `AMQP_URL` set, that broker serves the ordinary tests, and the private ones only those that restart, kill or
 * reconfigure theirs; then a machine that cannot provide private ones fails those tests alone.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { startBroker, type Broker } from '../../compose/broker';
import { publishBrokers } from './broker';

/** What the teardown stops; both run in the same process, but not in the same module registry. */
export interface BrokerGlobals {
  brokersToStop?: Broker[];
}

/** As much of Jest's configuration as matters here. */
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

  // A single file is run by a single worker, whichever that is. Otherwise any worker may get any file.
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

/** How many test files of the rooms with a broker this run was asked for. */
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
