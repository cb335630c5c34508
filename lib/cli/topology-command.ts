import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import type { Topology } from '../index';
import { compareTopology, type TopologyComparison } from '../tools/index';
import { EXIT, UsageError } from './exit-codes';
import type { Running, Session } from './session';
import { plain } from './terminal';

/** `instance-queue topology …` */
export function topologyCommand(running: Running): Command {
  const topology = new Command('topology').description('compare what is declared with what is there');
  topology
    .command('diff')
    .description('compare a topology with the exchanges, queues and bindings of the broker; changes nothing')
    .argument('<file>', 'JSON, or a module whose default export (or `topology`) is the topology')
    .addHelpText(
      'after',
      `
The file holds the topology that the service gives to InstanceQueue:
  { "exchanges": [{ "name": "events", "type": "topic" }],
    "queues": [{ "name": "orders", "type": "quorum", "deadLetter": { "queue": "orders.dead" } }],
    "bindings": [{ "exchange": "events", "queue": "orders", "routingKey": "order.*" }] }

Queues and exchanges are compared over AMQP, which needs the permission to configure them; what a policy sets is
not seen. Bindings are read from the management API (--management, or its usual port on the same host); without it
they are shown as unknown. Exit code 7: something is missing, different or extra.

Example:
  instance-queue topology diff topology.json`,
    )
    .action((file: string) => running((session) => diff(session, file)));
  return topology;
}

async function diff(session: Session, file: string): Promise<number> {
  const { terminal, queue, management } = session;
  const topology = await read(file);
  const compared = await compareTopology(queue, topology, {
    management: { url: management.url, vhost: management.vhost ?? '/' },
  });
  const differs = compared.some(({ state }) => state === 'missing' || state === 'different' || state === 'extra');
  if (terminal.json) terminal.printJson({ same: !differs, compared });
  else {
    const paints: Record<TopologyComparison['state'], (text: string) => string> = {
      same: terminal.green,
      missing: terminal.red,
      different: terminal.red,
      extra: terminal.yellow,
      unknown: terminal.yellow,
    };
    for (const { kind, name, state, details } of compared) {
      terminal.print(`${paints[state](state.padEnd(9))} ${kind.padEnd(8)} ${plain(name)}`);
      for (const detail of details) terminal.print(`            ${plain(detail)}`);
    }
  }
  return differs ? EXIT.partly : EXIT.done;
}

/** @throws UsageError if the file holds no topology */
async function read(file: string): Promise<Topology> {
  try {
    if (file.endsWith('.json')) return JSON.parse(readFileSync(file, 'utf8')) as Topology;
    const module = (await import(pathToFileURL(resolve(file)).href)) as Readonly<Record<string, unknown>>;
    const found: unknown = module['topology'] ?? unwrapped(module['default']);
    if (typeof found !== 'object' || found === null) throw new Error('it exports no topology');
    return found;
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A CommonJS module is the default export of itself. */
function unwrapped(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Reflect.get(value, 'topology') ?? Reflect.get(value, 'default') ?? value;
}
