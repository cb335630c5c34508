/** `instance-queue` as a process: in pipes, or on a terminal. With `COMMANDS=in-process` it runs in this one, as tests of mutants need it. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { main } from '../../lib/cli/main';
import { bundled } from './bundled';

const ROOT = join(__dirname, '..', '..');
const IN_PROCESS = process.env.COMMANDS === 'in-process';
const BIN = 'lib/cli/bin.ts';
// A shell starts a process in any case, of the code as it is then.
const COMMAND = [process.execPath, ...(IN_PROCESS ? ['-r', 'esbuild-register', join(ROOT, BIN)] : [bundled(BIN)])];

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly ended: Promise<Result>;
  /** Resolves when its output holds this; rejects if it ends first. */
  readonly says: (what: string | RegExp) => Promise<void>;
  readonly write: (text: string) => void;
  readonly signal: (signal: NodeJS.Signals) => void;
}

export interface CommandOptions {
  /** The broker, as `AMQP_URL`. */
  readonly url?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Written to its standard input. */
  readonly input?: string;
}

/** Runs a command in pipes to its end. */
export const inPipes = (args: readonly string[], options: CommandOptions = {}): Promise<Result> => {
  const running = start(COMMAND, args, options);
  running.write(options.input ?? '');
  return running.ended;
};

/** Starts a command in pipes. */
export const startInPipes = (args: readonly string[], options: CommandOptions = {}): Running =>
  start(COMMAND, args, options);

/** Runs a shell pipeline in which `$CLI` is the command. */
export const inShell = (line: string, { url, env }: CommandOptions = {}): Promise<Result> =>
  start(['/bin/sh', '-c', line], [], {
    env: { ...env, CLI: COMMAND.join(' '), ...(url !== undefined && { AMQP_URL: url }) },
  }).ended;

/** Starts a command on a pseudo-terminal, of which both its streams are part, by `script` of util-linux. */
export function onTerminal(args: readonly string[], options: CommandOptions = {}): Running {
  if (IN_PROCESS) return startHere(args, { ...options, env: { TERM: 'xterm-256color', ...options.env } }, true);
  const line = [...COMMAND, ...args].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  return start(['script', '--quiet', '--return', '--command', `stty cols 160; ${line}`, '/dev/null'], [], {
    ...options,
    env: { TERM: 'xterm-256color', ...options.env },
  });
}

function start(command: readonly string[], args: readonly string[], options: CommandOptions): Running {
  if (IN_PROCESS && command === COMMAND) return startHere(args, options, false);
  const [program = '', ...before] = command;
  const child = spawn(program, [...before, ...args], { cwd: ROOT, env: environmentOf(options) });
  // It may end without reading.
  child.stdin.on('error', () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return {
    ...watched(child, ended),
    write: (text) => {
      if (text === '') child.stdin.end();
      else child.stdin.write(text);
    },
    signal: (signal) => void child.kill(signal),
  };
}

/** As lib/cli/bin.ts starts it. */
function startHere(args: readonly string[], options: CommandOptions, isTTY: boolean): Running {
  const stream = (): PassThrough & { isTTY?: boolean } =>
    isTTY ? Object.assign(new PassThrough(), { isTTY, columns: 160 }) : new PassThrough();
  const stdout = stream();
  // A terminal shows both.
  const stderr = isTTY ? stdout : stream();
  const around = { stdin: stream(), stdout, stderr, env: environmentOf(options) };
  const interrupted = new AbortController();
  const ended = main(args, around, interrupted.signal).finally(() => {
    stdout.end();
    stderr.end();
  });
  return {
    ...watched({ stdout, stderr: isTTY ? new PassThrough() : stderr }, ended),
    write: (text) => {
      if (text === '') around.stdin.end();
      else around.stdin.write(text);
    },
    signal: () => {
      interrupted.abort();
    },
  };
}

function environmentOf({ url, env = {} }: CommandOptions): NodeJS.ProcessEnv {
  const { NO_COLOR: _, FORCE_COLOR: __, AMQP_URL: ___, ...inherited } = process.env;
  return { ...inherited, ...(url !== undefined && { AMQP_URL: url }), ...env };
}

/** What a command says, and its end. */
function watched(
  { stdout: out, stderr: err }: { readonly stdout: Readable; readonly stderr: Readable },
  end: Promise<number | null>,
): Pick<Running, 'ended' | 'says'> {
  let stdout = '';
  let stderr = '';
  let over = false;
  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of [...listeners]) listener();
  };
  out.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    notify();
  });
  err.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    notify();
  });
  const ended = end.then((code) => {
    over = true;
    notify();
    return { code, stdout, stderr };
  });
  const says = (what: string | RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const all = stdout + stderr;
        const said = typeof what === 'string' ? all.includes(what) : what.test(all);
        if (!said && !over) return;
        listeners.delete(look);
        if (said) resolve();
        else reject(new Error(`Expected ${String(what)}, but the command ended with:\n${all}`));
      };
      listeners.add(look);
      look();
    });
  return { ended, says };
}
