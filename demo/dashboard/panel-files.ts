import { readFileSync, readdirSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { extname, join } from 'node:path';
import type { PanelEvent, PanelWatch } from './panel-watch';

const FOLDER = join(__dirname, 'panel');
const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.woff2': 'font/woff2',
};
/** Everything that can be asked for: the panel, and its font. Nothing else on the disk. */
const FILES: ReadonlyMap<string, string> = new Map([
  ...readdirSync(FOLDER).map((name): [string, string] => [name, join(FOLDER, name)]),
  ['inter.woff2', require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')],
]);
/** Bytes that a page may be behind. A page that does not read is cut off; it reconnects, and gets the present. */
const BEHIND = 1024 * 1024;

export function panelFile(name: string): { readonly type: string; readonly content: Buffer } | undefined {
  const path = FILES.get(name);
  return path === undefined
    ? undefined
    : { type: TYPES[extname(path)] ?? 'application/octet-stream', content: readFileSync(path) };
}

/** Server-sent events for the panel: the present first, then each change. */
export function sendPanel(watch: PanelWatch, response: ServerResponse): void {
  const send = ([name, data]: PanelEvent): void => {
    if (response.writableLength > BEHIND) response.destroy();
    else response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write('retry: 1000\n\n');
  send(['present', watch.present]);
  const sending = watch.event$.subscribe({ next: send, complete: () => response.end() });
  response.once('close', () => sending.unsubscribe());
}
