/** `require` and `connect` in a fresh process: this library opens two connections, so amqplib does, too. */
import { createRequire } from 'node:module';
import { stopwatch } from '../stopwatch';

/** The result: ms, and the CPU time of both together, µs. */
export interface StartUp {
  readonly loaded: number;
  readonly connected: number;
  readonly cpu: number;
}

const load = createRequire(__filename);
/** `client`: this library, or names of packages, of which amqplib connects. */
const [url = '', client = ''] = process.argv.slice(2);

/** Loads the client. Returns how it connects. */
function loadClient(): () => Promise<unknown> {
  if (!client.startsWith('instance-queue')) {
    const { connect } = load('amqplib') as typeof import('amqplib');
    for (const name of client.split(/, | and /)) load(name);
    return () => Promise.all([connect(url), connect(url)]);
  }
  const { InstanceQueue } = load('../../../dist') as typeof import('instance-queue');
  return () => new InstanceQueue({ url, wire: client === 'instance-queue' }).connect();
}

async function main(): Promise<StartUp> {
  const stop = stopwatch();
  const connect = loadClient();
  const { ms: loaded } = stop();
  await connect();
  const { ms, cpu } = stop();
  return { loaded, connected: ms - loaded, cpu };
}

main().then(
  (startUp) => process.send?.(startUp),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
