// From source, the page is read from disk. The build replaces this module with one that contains the files
// (spec/package/embed.ts), so that the package, and a bundle of it, needs no files beside it.
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';

/** A file of the page. */
export interface PageFile {
  readonly type: string;
  readonly content: string;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const FOLDER = join(__dirname, 'page');
/** The chart library, by the names under which the page requests it. */
const CHARTS: ReadonlyMap<string, string> = new Map([
  ['uplot.js', 'uplot/dist/uPlot.iife.min.js'],
  ['uplot.css', 'uplot/dist/uPlot.min.css'],
]);

/** The names of all files of the page. */
export const pageFileNames = (): readonly string[] => [...readdirSync(FOLDER), ...CHARTS.keys()];

/** The file of this name, if it belongs to the page. No other file on the disk can be requested. */
export function pageFile(name: string): PageFile | undefined {
  if (!pageFileNames().includes(name)) return undefined;
  const chart = CHARTS.get(name);
  const path = chart === undefined ? join(FOLDER, name) : createRequire(__filename).resolve(chart);
  return { type: TYPES[extname(name)] ?? 'application/octet-stream', content: readFileSync(path, 'utf8') };
}
