import { build } from 'esbuild';
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(__dirname, '../../..');

/**
 * The programs that are measured (`*.program.ts`), compiled to plain JavaScript in a temporary folder: a process that compiled
 * TypeScript would charge that to the client.
 */
export class Programs {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async compile(): Promise<Programs> {
    const folder = mkdtempSync(join(tmpdir(), 'instance-queue-bench-'));
    process.once('exit', () => {
      rmSync(folder, { recursive: true, force: true });
    });
    await build({
      entryPoints: readdirSync(__dirname, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.program.ts'))
        .map((file) => join(__dirname, file)),
      outdir: folder,
      entryNames: '[name]',
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      // With it, `createRequire(__filename)` finds the packages and `dist/` of the checkout.
      define: { __filename: JSON.stringify(join(__dirname, 'shipped.ts')) },
      logLevel: 'warning',
    });
    return new Programs(folder);
  }

  /** Starts `<name>.program.ts`. */
  start(name: string, args: readonly string[], execArgv: readonly string[] = []): ChildProcess {
    // For packages that are imported.
    const env = { ...process.env, NODE_PATH: join(ROOT, 'node_modules') };
    return fork(join(this.#folder, `${name}.program.js`), args, { env, execArgv: [...execArgv] });
  }
}
