/**
 * The second half of `npm run build`: gathers the modules that tsc wrote into one file, and leaves an entry point each of
 * what package.json promises. Node opens one file of them in half the time of 120. Each module still runs when it is asked
 * for first, and once, whichever entry points are used.
 */
import { buildSync } from 'esbuild';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { entryPoints, type EntryPoint } from './entry-points';

const root = join(__dirname, '..', '..');
const dist = join(root, 'dist');
const MODULES = 'modules.js';
const load = createRequire(__filename);

/** `import { … }` finds the names by reading the file, and not by running it. */
function entryPoint({ name, program }: EntryPoint): string {
  const names = Object.keys(load(join(root, program)) as object);
  const modules = join(relative(dirname(join(root, program)), dist), MODULES);
  return `"use strict";
module.exports = require("./${modules}")["${name}"]();
0 && (module.exports = { ${names.join(', ')} });
`;
}

const all = entryPoints(root);
const opened = all.map((entry) => ({ file: join(root, entry.program), text: entryPoint(entry) }));
buildSync({
  stdin: {
    contents: all.map(({ name, program }) => `exports["${name}"] = () => require("${program}");`).join('\n'),
    resolveDir: root,
    sourcefile: MODULES,
  },
  outfile: join(dist, MODULES),
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  packages: 'external',
});
for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
  if (file.endsWith('.js') && file !== MODULES) rmSync(join(dist, file));
}
for (const { file, text } of opened) writeFileSync(file, text);
