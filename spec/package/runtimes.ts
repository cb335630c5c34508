import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

type Run = (command: string, args: readonly string[], cwd?: string) => Promise<string>;

/** What runs a program. */
export interface Runtime {
  /** With its version. */
  readonly name: string;
  readonly command: string;
  /** What stands before the path of the program. */
  readonly args: readonly string[];
}

const quiet = ['--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error'];

async function install(name: string, into: string, run: Run): Promise<string> {
  const folder = join(into, name.replace(/\W/g, '-'));
  mkdirSync(folder, { recursive: true });
  await run('npm', ['install', ...quiet, '--prefix', folder, name], folder);
  return join(folder, 'node_modules');
}

/** The Node of a generation: this one if it is of that generation, otherwise the one that npm has for this machine. */
export async function nodeRuntime(generation: number, into: string, run: Run): Promise<Runtime> {
  const command = await nodeBinary(generation, into, run);
  return { name: `Node ${(await run(command, ['--version'])).trim()}`, command, args: [] };
}

async function nodeBinary(generation: number, into: string, run: Run): Promise<string> {
  if (process.versions.node.startsWith(`${generation}.`)) return process.execPath;
  const { platform, arch } = process;
  const name = `node-${platform === 'win32' ? 'win' : platform}-${arch}`;
  const modules = await install(`${name}@${generation}`, into, run);
  return join(modules, name, 'bin', platform === 'win32' ? 'node.exe' : 'node');
}

/** Runtimes beside Node, by the names that npm has them under, and the arguments that run a program with all permissions. */
const others = { bun: ['run'], deno: ['run', '--allow-all'] } as const;
type Other = keyof typeof others;

/** Bun or Deno, or why it cannot be had on this machine. */
export async function otherRuntime(
  name: Other,
  into: string,
  run: Run,
): Promise<Runtime | { readonly whyNot: string }> {
  try {
    const command = join(await install(name, into, run), '.bin', name);
    const [version = ''] = (await run(command, ['--version'])).split('\n');
    return { name: `${name} ${version.replace(`${name} `, '')}`, command, args: others[name] };
  } catch (error) {
    return { whyNot: error instanceof Error ? error.message : String(error) };
  }
}

export const otherRuntimes = Object.keys(others) as readonly Other[];
