/** TypeScript programs in processes of their own, for what would crash a test, and for what only the exit of a process shows. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { bundled } from './bundled';

export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  /** ms from its last output to its exit. */
  readonly lingered: number;
}

/** A program that runs. */
export interface Child {
  /** Resolves when the program has ended, however it did. */
  readonly ended: Promise<Ended>;
  /** Its standard output so far. */
  readonly output: () => string;
  /** Resolves when its standard output holds this; rejects if it ends first. */
  readonly says: (what: string | RegExp) => Promise<void>;
  readonly signal: (signal: NodeJS.Signals) => void;
}

const ROOT = join(__dirname, '..', '..');

/** The demos look for files beside their own, and start other programs. */
const program = (file: string): readonly string[] =>
  file.startsWith('spec/') ? [bundled(file)] : ['-r', 'esbuild-register', join(ROOT, file)];

/** Starts a TypeScript file, its path relative to the project root. It is killed after `limit` ms: then `signal` is SIGKILL. */
export function startChild(file: string, args: readonly string[] = [], limit = 20_000): Child {
  const child = spawn(process.execPath, [...program(file), ...args], { cwd: ROOT });
  let stdout = '';
  let stderr = '';
  let last = performance.now();
  let over = false;
  const listeners = new Set<() => void>();
  const notify = (): void => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    last = performance.now();
    notify();
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
      notify();
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
        else
          reject(
            new Error(`Expected ${String(what)} in the output, but the program ended with:\n${stdout}\n${stderr}`),
          );
      };
      listeners.add(look);
      look();
    });
  return { ended, says, output: () => stdout, signal: (signal) => void child.kill(signal) };
}

/** Runs a TypeScript file, its path relative to `spec/`, to its end. */
export function runChild(file: string, args: readonly string[] = [], limit?: number): Promise<Ended> {
  return startChild(join('spec', file), args, limit).ended;
}
