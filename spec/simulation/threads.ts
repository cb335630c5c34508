import { build, type Plugin } from 'esbuild';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Mode } from './plan';
import type { Share, Told } from './seeds.worker';

const root = join(__dirname, '..', '..');

/** A change of one file of the library, made while it is bundled. */
export interface Patch {
  /** From the root. */
  readonly file: string;
  readonly search: string;
  readonly replace: string;
  /** In which mode it is looked for. @default 'port' */
  readonly mode?: Mode;
}

/** Applies a patch. @throws Error if the file does not hold the text exactly once */
export function patched({ file, search, replace }: Patch): string {
  const text = readFileSync(join(root, file), 'utf8');
  const times = text.split(search).length - 1;
  if (times !== 1)
    throw new Error(`Expected ${file} to hold this text once, found it ${String(times)} times: ${search}`);
  return text.replace(search, () => replace);
}

/** Bundles what runs seeds, with the library as it is or patched. Returns the program. */
export async function bundle(patch?: Patch): Promise<string> {
  const planting: Plugin = {
    name: 'planting',
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.ts$/ }, ({ path }) =>
        patch?.file === relative(root, path) ? { contents: patched(patch), loader: 'ts' } : undefined,
      );
    },
  };
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['spec/simulation/seeds.worker.ts'],
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node20',
    packages: 'external',
    // The package is declared free of side effects; what a run needs of them is kept.
    ignoreAnnotations: true,
    // The program is run as text; what looks for files beside itself looks from here.
    define: { __filename: JSON.stringify(join(__dirname, 'seeds.worker.ts')) },
    // RxJS as modules of ES2015 runs faster than as what `require` gets, ES5: classes, and no getter for each import.
    alias: { 'instance-queue': './lib/index.ts', rxjs: join(root, 'node_modules/rxjs/dist/esm/index.js') },
    plugins: [planting],
    logLevel: 'error',
  });
  return outputFiles[0]?.text ?? '';
}

/** Runs a share of seeds in a thread. Resolves when it is done. `stop` ends it early. */
export function runShare(
  program: string,
  share: Share,
  tell: (told: Told) => void,
): { readonly done: Promise<void>; readonly stop: () => void } {
  // As text: the program finds its packages from here.
  const worker = new Worker(`module.paths.unshift(${JSON.stringify(join(root, 'node_modules'))});\n${program}`, {
    eval: true,
    workerData: share,
  });
  worker.on('message', tell);
  const done = new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => {
      resolve();
    });
  });
  return { done, stop: () => void worker.terminate() };
}
