/**
 * A step of `npm run build`: puts the page of the dashboard into the module that reads it from disk when run from source.
 * Its scripts become one file, and what is text is made smaller.
 */
import { buildSync } from 'esbuild';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pageFile, type PageFile } from '../../lib/dashboard/page-files';

const root = join(__dirname, '..', '..');
const page = join(root, 'lib', 'dashboard', 'page');

/** With everything that it imports. */
function bundled(entry: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [join(page, entry)],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}

const asIs = ['index.html', 'icon.svg', 'uplot.js', 'uplot.css'];
const files: Record<string, PageFile | undefined> = Object.fromEntries(asIs.map((name) => [name, pageFile(name)]));
const styles = ['theme', 'layout', 'cards', 'phases', 'timelines', 'log'].map((name) => `${name}.css`);
for (const entry of ['main.js', ...styles]) {
  const file = pageFile(entry);
  files[entry] = file && { ...file, content: bundled(entry) };
}
const missing = Object.keys(files).filter((name) => files[name] === undefined);
if (missing.length > 0) throw new Error(`The page of the dashboard lacks ${missing.join(', ')}.`);

const target = join(root, 'dist', 'dashboard', 'page-files.js');
// It is what tsc wrote that is replaced: the names it exports stay.
if (!readFileSync(target, 'utf8').includes('exports.pageFile')) throw new Error(`${target} exports no pageFile.`);
writeFileSync(
  target,
  `"use strict";
const FILES = new Map(Object.entries(${JSON.stringify(files)}));
exports.pageFileNames = () => [...FILES.keys()];
exports.pageFile = (name) => FILES.get(name);
`,
);
