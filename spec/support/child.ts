/** A program in a process of its own: for what would take a test down with it, and for what only the end of a process shows. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** ms from the last line it wrote to its end. */
  readonly lingered: number;
}

/** One that still runs. */
export interface Child {
  /** Never rejects because of what the program does. */
  readonly ended: Promise<Ended>;
  /** What it has written to standard output so far. */
  readonly output: () => string;
  /** Resolves when it has written this; rejects when it ends without. */
  readonly says: (what: string | RegExp) => Promise<void>;
  readonly signal: (signal: NodeJS.Signals) => void;
}

const ROOT = join(__dirname, '..', '..');

/** Starts a TypeScript file, its path from the root of the project; killed after `limit` ms, which the signal tells. */
export function startChild(file: string, args: readonly string[] = [], limit = 20_000): Child {
  const child = spawn(process.execPath, ['-r', 'esbuild-register', join(ROOT, file), ...args], { cwd: ROOT });
  let stdout = '';
  let stderr = '';
  let last = performance.now();
  let over = false;
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    last = performance.now();
    tell();
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const tooLate = setTimeout(() => child.kill('SIGKILL'), limit);
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    let exited = 0;
    child.once('exit', () => (exited = performance.now()));
    child.once('close', (code, signal) => {
      clearTimeout(tooLate);
      over = true;
      tell();
      resolve({ code, signal, stdout, stderr, lingered: exited - last });
    });
  });
  const says = (what: string | RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const said = typeof what === 'string' ? stdout.includes(what) : what.test(stdout);
        if (!said && !over) return;
        listeners.delete(look);
        if (said) resolve();
        else reject(new Error(`It ended without saying ${String(what)}. It said:\n${stdout}\n${stderr}`));
      };
      listeners.add(look);
      look();
    });
  return { ended, says, output: () => stdout, signal: (signal) => void child.kill(signal) };
}

/** Runs a TypeScript file of `spec/` to its end. */
export function runChild(file: string, args: readonly string[] = [], limit?: number): Promise<Ended> {
  return startChild(join('spec', file), args, limit).ended;
}
