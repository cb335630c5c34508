/** The streams of a process in memory, and commands that run over a queue in memory. */
import type { Command } from 'commander';
import type { InstanceQueue } from 'instance-queue';
import { PassThrough } from 'node:stream';
import { type GlobalOptions, runCommand, type Running, Session } from '../../lib/cli/session';
import type { Surroundings } from '../../lib/cli/terminal';

export interface SurroundingsOptions {
  /** Terminals, not pipes. */
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** A process in memory: what it wrote so far. */
export interface Written extends Surroundings {
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  out(): string;
  err(): string;
}

export function surroundings({ isTTY, columns, env = {} }: SurroundingsOptions = {}): Written {
  const stream = (): PassThrough =>
    Object.assign(new PassThrough(), { ...(isTTY && { isTTY }), ...(columns !== undefined && { columns }) });
  const texts = { stdout: '', stderr: '' };
  const [stdin, stdout, stderr] = [stream(), stream(), stream()];
  stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()));
  stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()));
  return { stdin, stdout, stderr, env, out: () => texts.stdout, err: () => texts.stderr };
}

class SessionOver extends Session {
  readonly #over: InstanceQueue;
  constructor(queue: InstanceQueue, ...rest: ConstructorParameters<typeof Session>) {
    super(...rest);
    this.#over = queue;
  }
  override get queue(): InstanceQueue {
    return this.#over;
  }
}

export interface RunOptions extends Partial<GlobalOptions> {
  readonly around?: Written;
  readonly interrupted?: AbortSignal;
}

/** Runs a command of the command line over this queue, to its end. */
export async function runOver(
  queue: InstanceQueue,
  make: (running: Running) => Command,
  args: readonly string[],
  { around = surroundings(), interrupted = new AbortController().signal, ...options }: RunOptions = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let code = -1;
  const globals = { color: false, ...options };
  const running: Running = async (command) => {
    code = await runCommand(around, globals, interrupted, () =>
      command(new SessionOver(queue, around, globals, interrupted)),
    );
  };
  await make(running).parseAsync(args, { from: 'user' });
  // What was written is read a turn later.
  await new Promise((resolve) => setImmediate(resolve));
  return { code, out: around.out(), err: around.err() };
}
