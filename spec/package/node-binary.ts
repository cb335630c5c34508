import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

type Run = (command: string, args: readonly string[], cwd?: string) => Promise<string>;

/** The `node` of a generation: this one if it is of that generation, else the one that npm has for this machine. */
export async function nodeBinary(generation: number, into: string, run: Run): Promise<string> {
  if (process.versions.node.startsWith(`${generation}.`)) return process.execPath;
  const { platform, arch } = process;
  const name = `node-${platform === 'win32' ? 'win' : platform}-${arch}`;
  const folder = join(into, String(generation));
  mkdirSync(folder, { recursive: true });
  const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];
  await run('npm', ['install', ...quiet, '--prefix', folder, `${name}@${generation}`], folder);
  return join(folder, 'node_modules', name, 'bin', platform === 'win32' ? 'node.exe' : 'node');
}
