import { execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { ctlError } from './ctl-error';
import { endEpmd } from './epmd';
import { erlCall } from './erl-call';
import { groupRuns, killGroup } from './process-group';

/** A private RabbitMQ node: everything that any process needs to steer it. JSON. */
export interface LocalNode {
  readonly programs: string;
  readonly folder: string;
  readonly name: string;
  readonly port: number;
  readonly distPort: number;
  readonly epmdPort: number;
}

export const logOf = (node: LocalNode): string => join(node.folder, 'broker.log');
const pidFileOf = (node: LocalNode): string => join(node.folder, 'broker.pid');

/** What makes several nodes one cluster. */
export interface Membership {
  /** The secret by which nodes know each other. */
  readonly cookie: string;
  /** The names of all nodes, the node's own too. */
  readonly peers: readonly string[];
}

export const newCookie = (): string => randomBytes(16).toString('hex');

/** What a broker runs with besides the usual settings. */
export interface Extras {
  /** Names of plugins that come with RabbitMQ. @default none */
  readonly plugins?: readonly string[] | undefined;
  /** The text of `advanced.config`. https://www.rabbitmq.com/docs/configure#advanced-config-file @default none */
  readonly advancedConfig?: string | undefined;
}

/** The text of the file `enabled_plugins`. */
export const enabledPlugins = ({ plugins = [] }: Extras): string => `[${plugins.join(', ')}].\n`;

/** Writes what the node reads at its start: settings, cookie, plugins. Alone it has a cookie of its own. */
export function prepareNode(
  node: LocalNode,
  { cookie, peers }: Membership = { cookie: newCookie(), peers: [] },
  extras: Extras = {},
): void {
  const home = join(node.folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, '.erlang.cookie'), cookie, { mode: 0o400 });
  writeFileSync(join(node.folder, 'enabled_plugins'), enabledPlugins(extras));
  if (extras.advancedConfig !== undefined) writeFileSync(join(node.folder, 'advanced.config'), extras.advancedConfig);
  // Empty, so that the settings of the machine's own broker are not read.
  writeFileSync(join(node.folder, 'rabbitmq-env.conf'), '');
  const settings = [
    `listeners.tcp.1 = 127.0.0.1:${node.port}`,
    'log.console = true',
    'log.console.level = info',
    'log.file = false',
    // A nearly full disk must not block a broker that lives for minutes.
    'disk_free_limit.absolute = 5MB',
    ...(peers.length > 0 ? ['cluster_formation.peer_discovery_backend = classic_config'] : []),
    ...peers.map((name, i) => `cluster_formation.classic_config.nodes.${i + 1} = ${name}`),
  ];
  writeFileSync(join(node.folder, 'rabbitmq.conf'), `${settings.join('\n')}\n`);
}

/** Starts the node's process, which outlives ours; ready only once AMQP is answered. Tells through `ended` when it went early. */
export function launchNode(node: LocalNode): { readonly ended: () => string | undefined } {
  const log = openSync(logOf(node), 'a');
  // The shell writes its own pid and becomes the server: there is no moment at which a process runs that no pid file names.
  const command = 'echo $$ >"$1"; exec "$2"';
  const child = spawn('/bin/sh', ['-ec', command, 'sh', pidFileOf(node), join(node.programs, 'rabbitmq-server')], {
    cwd: node.folder,
    env: environmentOf(node),
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = `rabbitmq-server ended with ${code ?? signal}`));
  return { ended: () => ended };
}

export const nodeRuns = (node: LocalNode): boolean => groupRuns(pidFileOf(node));

export async function killNode(node: LocalNode): Promise<void> {
  await killGroup(pidFileOf(node));
  // Or the pid could come to mean another process by the time of the next kill.
  rmSync(pidFileOf(node), { force: true });
}

/** Leaves nothing of the nodes behind, nor of the epmd they share. Safe to do twice and from two processes at once. */
export async function removeNodes(nodes: readonly LocalNode[]): Promise<void> {
  await Promise.all(nodes.map(killNode));
  await Promise.all([...new Set(nodes.map(({ epmdPort }) => epmdPort))].map((port) => endEpmd(port)));
  const options = { recursive: true, force: true, maxRetries: 5, retryDelay: 100 };
  await Promise.all(nodes.map(({ folder }) => rm(folder, options)));
}

export async function nodeCtl(node: LocalNode, args: readonly string[]): Promise<string> {
  return (await evaluated(node, args)) ?? rabbitmqctl(node, args);
}

/** The answer of `eval`, the command that tests give again and again, without the second that `rabbitmqctl` takes. */
async function evaluated(
  node: LocalNode,
  [command, expression, ...options]: readonly string[],
): Promise<string | undefined> {
  if (command !== 'eval' || expression === undefined) return undefined;
  const notation = options.length === 0 ? 'term' : options.join(' ') === '--formatter json' ? 'json' : undefined;
  if (notation === undefined) return undefined;
  return erlCall({ distPort: node.distPort, env: environmentOf(node) }, expression, notation);
}

function rabbitmqctl(node: LocalNode, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: environmentOf(node), cwd: node.folder, timeout: 120_000, maxBuffer: 64 * 1024 * 1024 };
    execFile(join(node.programs, 'rabbitmqctl'), ['-q', ...args], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(ctlError(args, stderr.trim() || stdout.trim() || error.message));
    });
  });
}

/** The last lines of the node's log, for the text of an error. */
export function logTail(node: LocalNode, lines = 15): string {
  try {
    return readFileSync(logOf(node), 'utf8').trim().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log was written)';
  }
}

function environmentOf(node: LocalNode): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(RABBITMQ_|ERL_|NOTIFY_SOCKET$|NODE_OPTIONS$)/.test(name),
  );
  const inFolder = (name: string): string => join(node.folder, name);
  return {
    ...Object.fromEntries(inherited),
    PATH: [process.env.PATH, '/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/bin'].filter(Boolean).join(':'),
    LC_ALL: 'C.UTF-8',
    HOME: inFolder('home'),
    ERL_EPMD_PORT: String(node.epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: node.name,
    RABBITMQ_DIST_PORT: String(node.distPort),
    RABBITMQ_CONF_ENV_FILE: inFolder('rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: inFolder('rabbitmq.conf'),
    RABBITMQ_CONFIG_FILES: inFolder('conf.d'),
    RABBITMQ_ADVANCED_CONFIG_FILE: inFolder('advanced.config'),
    RABBITMQ_GENERATED_CONFIG_DIR: inFolder('generated'),
    RABBITMQ_ENABLED_PLUGINS_FILE: inFolder('enabled_plugins'),
    RABBITMQ_MNESIA_BASE: inFolder('data'),
    RABBITMQ_LOG_BASE: inFolder('log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: inFolder('rabbit.pid'),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_CTL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    // The default of ten ports is too few when several suites ask at once.
    RABBITMQ_CTL_DIST_PORT_MIN: '35672',
    RABBITMQ_CTL_DIST_PORT_MAX: '36671',
    // Brokers side by side must not all bind their first scheduler to the same core.
    RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
    // Makes the script become the server instead of minding it, so that the pid is the server's.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}
