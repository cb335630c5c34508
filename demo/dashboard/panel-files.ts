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
/** The files that can be requested: the panel and its font. */
const FILES: ReadonlyMap<string, string> = new Map([
  ...readdirSync(FOLDER).map((name): [string, string] => [name, join(FOLDER, name)]),
  ['inter.woff2', require.resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')],
]);
/** Bytes buffered for a page. A page that reads too slowly is disconnected; it reconnects and gets the present state. */
const BEHIND = 1024 * 1024;

export function panelFile(name: string): { readonly type: string; readonly content: Buffer } | undefined {
  const path = FILES.get(name);
  return path === undefined
    ? undefined
    : { type: TYPES[extname(path)] ?? 'application/octet-stream', content: readFileSync(path) };
}

/** Adds the events of the panel to the connection of the page: the present state first, then each change. */
export function addPanel(watch: PanelWatch, response: ServerResponse): void {
  const send = ([name, data]: PanelEvent): void => {
    if (response.writableEnded) return;
    if (response.writableLength > BEHIND) response.destroy();
    else response.write(`event: panel-${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  // The dashboard answers after `authorize`.
  setImmediate(() => {
    if (!response.headersSent) return;
    send(['present', watch.present]);
    const sending = watch.event$.subscribe(send);
    response.once('close', () => sending.unsubscribe());
  });
}
