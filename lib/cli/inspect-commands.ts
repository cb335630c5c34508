/** `instance-queue check` and `instance-queue topology diff`: what is there, and what is in the way. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { lastValueFrom, takeUntil, tap, toArray } from 'rxjs';
import type { Topology } from '../index';
import { checkConnection, compareTopology, type TopologyComparison } from '../tools/index';
import { EXIT, UsageError, exitCodeOf } from './exit-codes';
import { seconds } from './options';
import type { Running, Session } from './session';
import { plain } from './terminal';

interface CheckOptions {
  readonly queue?: string;
  readonly timeout: number;
}

/** `instance-queue check` */
export function checkCommand(running: Running): Command {
  return new Command('check')
    .description('connect as a service would, and explain what is refused')
    .option('--queue <queue>', 'look this queue up, too')
    .option('--timeout <seconds>', 'for each step', seconds, 10)
    .addHelpText(
      'after',
      `
Tried, one after the other: DNS, TCP, TLS (with amqps://), AMQP with credentials and virtual host, then the
permissions to configure, write and read, with a queue of its own that is gone afterwards. The exit code says
which kind of thing failed (instance-queue --help lists them).

Examples:
  instance-queue check --url amqps://shop:secret@rabbit.internal/orders
  AMQP_URL=amqp://… instance-queue check --queue orders --json`,
    )
    .action((options: CheckOptions) => running((session) => check(session, options)));
}

async function check(session: Session, { queue, timeout }: CheckOptions): Promise<number> {
  const { terminal, url } = session;
  const steps$ = checkConnection({ url, timeout: timeout * 1000, ...(queue !== undefined && { queue }) });
  const signs = { ok: terminal.green('ok     '), failed: terminal.red('FAILED '), skipped: terminal.dim('skipped') };
  const steps = await lastValueFrom(
    steps$.pipe(
      tap(({ name, status, text }) => {
        if (!terminal.json) terminal.print(`${name.padEnd(9)} ${signs[status]} ${plain(text)}`);
      }),
      takeUntil(session.interrupted$),
      toArray(),
    ),
  );
  if (session.signal.aborted) return EXIT.interrupted;
  const failed = steps.find(({ status }) => status === 'failed');
  const code = failed ? exitCodeOf(failed.error) : EXIT.done;
  if (failed?.name === 'tls')
    terminal.note('In the URL: ?cacertfile=/path/to/ca.pem gives a CA, &server_name_indication=NAME a host name.');
  if (terminal.json) {
    terminal.printJson({
      ok: !failed,
      exitCode: code,
      steps: steps.map(({ name, status, text }) => ({ name, status, text })),
    });
  }
  return code;
}

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
  const compared = await compareTopology(queue, topology, { management });
  const differs = compared.some(({ state }) => state === 'missing' || state === 'different' || state === 'extra');
  const unknown = compared.filter(({ state }) => state === 'unknown').length;
  if (terminal.json) terminal.printJson({ same: !differs, unknown, compared });
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
    if (unknown > 0) terminal.note(`${String(unknown)} of ${String(compared.length)} could not be compared`);
  }
  return differs ? EXIT.partly : EXIT.done;
}

/** @throws UsageError if the file holds no topology */
async function read(file: string): Promise<Topology> {
  try {
    if (file.endsWith('.json')) {
      // Editors of Windows begin a file with a byte order mark.
      return JSON.parse(readFileSync(file, 'utf8').replace(/^\ufeff/, '')) as Topology;
    }
    return topologyIn((await import(pathToFileURL(resolve(file)).href)) as Readonly<Record<string, unknown>>);
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The topology that a module exports. @throws Error if there is none */
export function topologyIn(module: Readonly<Record<string, unknown>>): Topology {
  const found: unknown = module['topology'] ?? unwrapped(module['default']);
  if (typeof found !== 'object' || found === null) throw new Error('it exports no topology');
  return found;
}

/** A CommonJS module is the default export of itself. */
function unwrapped(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Reflect.get(value, 'topology') ?? Reflect.get(value, 'default') ?? value;
}
