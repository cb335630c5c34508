import type { ServerResponse } from 'node:http';
import type { PageEvent, Watch } from './watch';

/** Bytes that a page may be behind. One that sleeps is let go, and comes again for the present. */
const BEHIND = 1024 * 1024;

/** Server-sent events: the present first, then whatever changes, until the page goes or the watch ends. */
export function feed(watch: Watch, response: ServerResponse): void {
  const tell = ([name, data]: PageEvent): void => {
    if (response.writableLength > BEHIND) response.destroy();
    else response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write('retry: 1000\n\n');
  tell(['present', watch.present]);
  const telling = watch.event$.subscribe({ next: tell, complete: () => response.end() });
  response.once('close', () => telling.unsubscribe());
}
