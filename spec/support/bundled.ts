import { buildSync } from 'esbuild';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

const ROOT = join(__dirname, '..', '..');
/** Two levels below the root, as the rooms of `lib` are, from where the command line finds `package.json`. */
const FOLDER = join(ROOT, 'node_modules', '.programs');

const built = new Map<string, string>();

/**
 * A TypeScript program as one file of JavaScript, its path given relative to the project root. It starts with a quarter of the CPU that
 * compiling its two hundred files takes. Not for programs that look for other files beside their own.
 */
export function bundled(file: string): string {
  const before = built.get(file);
  if (before !== undefined) return before;
  const { outputFiles } = buildSync({
    entryPoints: [join(ROOT, file)],
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    write: false,
  });
  const path = join(FOLDER, `${basename(dirname(file))}-${basename(file, '.ts')}.js`);
  const draft = `${path}.${String(process.pid)}`;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(draft, outputFiles[0]?.text ?? '');
  // At once, for other workers build the same program.
  renameSync(draft, path);
  built.set(file, path);
  return path;
}
