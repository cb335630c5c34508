import type { Broker } from '../../../../compose/broker';
import type { Bench, Part } from '../bench';
import { answerOf } from '../process';
import { markdown } from '../table';
import type { Row } from './report';

interface Measurement {
  /** `<program>.program.ts` */
  readonly program: string;
  readonly heads: Row;
}

const MEASUREMENTS: readonly Measurement[] = [
  {
    program: 'consumers',
    heads: ['consumers on one connection', 'attached ms', 'again after a cut ms', 'heap KiB each'],
  },
  {
    program: 'connections',
    heads: ['connections in one process', 'connected ms', 'again after a cut ms', 'heap KiB each'],
  },
  {
    program: 'outbox',
    heads: ['outbox, offline', 'messages', 'MiB by its count', 'bound MiB', 'heap MiB', 'µs a send'],
  },
  {
    program: 'linear',
    heads: ['messages published', 'CPU µs each', '× the first row', 'k/s', 'RSS MiB at its end', 'samples'],
  },
  {
    program: 'slow-consumer',
    heads: ['messages through a slow consumer', 'RSS MiB at the first tenth', 'at the last', 'at most'],
  },
];
/** The time limit of one, ms: ten million messages take minutes. */
const LIMIT = 1_800_000;

/** This library alone: many consumers, many connections, many messages. */
export const scale: Part = async (bench) => {
  const unlimited = await withoutChannelMax(bench.broker);
  const tables: string[] = [];
  try {
    for (const { program, heads } of MEASUREMENTS.filter(({ program: name }) => bench.wants(name)))
      tables.push(markdown([heads, ...(await measured(bench, program, unlimited))]));
  } finally {
    await unlimited?.restore();
  }
  return tables.join('\n\n');
};

async function measured({ broker, programs, scale: size }: Bench, program: string, unlimited: object | undefined) {
  console.error(`scale · ${program}`);
  const args = [broker.url, String(size), ...(unlimited ? ['unlimited'] : [])];
  const child = programs.start(program, args, ['--expose-gc']);
  try {
    return (await answerOf(child, program, LIMIT)) as readonly Row[];
  } finally {
    child.kill('SIGKILL');
  }
}

/**
 * RabbitMQ allows 2,047 channels on a connection, and each consumer has one of its own: those beyond stay detached and keep trying. Lifts
 * the limit for new connections. Undefined: not possible, with a broker that was started elsewhere.
 */
async function withoutChannelMax(broker: Broker): Promise<{ readonly restore: () => Promise<void> } | undefined> {
  try {
    const before = /\{ok,\s*(\d+)\}/.exec(await broker.ctl('eval', 'application:get_env(rabbit, channel_max).'))?.[1];
    if (before === undefined) return undefined;
    const set = async (max: string): Promise<void> => {
      await broker.ctl('eval', `application:set_env(rabbit, channel_max, ${max}).`);
    };
    await set('0');
    return { restore: () => set(before) };
  } catch {
    return undefined;
  }
}
