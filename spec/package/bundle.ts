/**
 * The second half of `npm run build`: gathers the modules that tsc wrote into one file, and leaves an entry point each of
 * what package.json promises. Node opens one file of them in half the time of 120. Each module still runs when it is asked
 * for first, and once, whichever entry points are used.
 */
import { buildSync } from 'esbuild';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

const root = join(__dirname, '..', '..');
const dist = join(root, 'dist');
const MODULES = join(dist, 'modules.js');

/** Files that users open, from the root. */
function entries(): string[] {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { default: string }>;
  };
  return Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.default]));
}

/** By what name the gathered modules give an entry point away. */
const nameOf = (entry: string): string => relative('dist', dirname(entry)) || 'index';

/** `import { … }` finds the names by reading the file, and not by running it. */
function entryPoint(entry: string, names: readonly string[]): string {
  const modules = relative(dirname(join(root, entry)), MODULES);
  return `"use strict";
module.exports = require("${modules.startsWith('.') ? modules : `./${modules}`}")["${nameOf(entry)}"]();
0 && (module.exports = { ${names.join(', ')} });
`;
}

const opened = entries();
const load = createRequire(__filename);
const written = new Map(
  opened.map((entry) => [entry, entryPoint(entry, Object.keys(load(join(root, entry)) as object))]),
);

const { outputFiles } = buildSync({
  stdin: {
    contents: opened
      .map((entry) => `exports["${nameOf(entry)}"] = () => require("./${relative('dist', entry)}");`)
      .join('\n'),
    resolveDir: dist,
    sourcefile: 'modules.js',
  },
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
  write: false,
});
for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (file.endsWith('.js')) rmSync(join(dist, file));
}
for (const { contents } of outputFiles) writeFileSync(MODULES, contents);
for (const [entry, text] of written) writeFileSync(join(root, entry), text);
