import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Charge } from './charge';

export interface PostedWarden {
  /** Lets it clear away what is left, and resolves when it has ended. */
  dismiss(): Promise<void>;
}

/**
 * Posts a warden: a process of its own that clears the charge away when this one ends, by whatever death. Post it before
 * there is anything to clear away. It does not keep our event loop alive.
 */
export function postWarden(charge: Charge): PostedWarden {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    ['-r', require.resolve('esbuild-register'), join(__dirname, 'warden.ts'), JSON.stringify(charge)],
    { cwd: dirname(__dirname), env, detached: true, stdio: ['pipe', 'ignore', 'ignore'] },
  );
  const ended = new Promise<void>((resolve) => {
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
  child.stdin.on('error', () => undefined);
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  return {
    async dismiss() {
      child.ref();
      child.stdin.end();
      await ended;
    },
  };
}
