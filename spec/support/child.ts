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

const ROOT = join(__dirname, '..', '..');

/** Runs a TypeScript file of `spec/`; killed after `limit` ms, which the signal tells. */
export function runChild(file: string, args: readonly string[] = [], limit = 20_000): Promise<Ended> {
  const child = spawn(process.execPath, ['-r', 'esbuild-register', join(ROOT, 'spec', file), ...args], { cwd: ROOT });
  let stdout = '';
  let stderr = '';
  let last = performance.now();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    last = performance.now();
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const tooLate = setTimeout(() => child.kill('SIGKILL'), limit);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    let ended = 0;
    child.once('exit', () => (ended = performance.now()));
    child.once('close', (code, signal) => {
      clearTimeout(tooLate);
      resolve({ code, signal, stdout, stderr, lingered: ended - last });
    });
  });
}
