import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';

const PAGE = join(__dirname, 'page');
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** All that can be had: the page, and what it needs of others. Nothing else of the disk. */
const FILES: ReadonlyMap<string, string> = new Map([
  ['/', join(PAGE, 'index.html')],
  ...readdirSync(PAGE).map((name): [string, string] => [`/${name}`, join(PAGE, name)]),
  ['/vendor/uplot.js', require.resolve('uplot/dist/uPlot.iife.min.js')],
  ['/vendor/uplot.css', require.resolve('uplot/dist/uPlot.min.css')],
  ['/vendor/inter.woff2', require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')],
]);

export interface PageFile {
  readonly type: string;
  readonly content: Buffer;
}

/** The file behind a path, if there is one. */
export async function fileAt(path: string): Promise<PageFile | undefined> {
  const file = FILES.get(path);
  if (file === undefined) return undefined;
  return { type: TYPES[extname(file)] ?? 'application/octet-stream', content: await readFile(file) };
}
