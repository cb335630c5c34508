import type { IncomingMessage, ServerResponse } from 'node:http';
import { interval, type Observable, type Subscription } from 'rxjs';
import type { PageEvent } from './view';

/** Bytes buffered for a page. A page that reads too slowly is disconnected; it reconnects and gets the present state. */
const BEHIND = 1024 * 1024;
/** ms between two comments, which keep proxies from closing an idle connection. */
const ALIVE = 15_000;

/** Sends server-sent events until the page disconnects or `event$` completes. */
export function sendEvents(event$: Observable<PageEvent>, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    // These headers keep compression from delaying events and nginx from buffering them.
    'cache-control': 'no-store, no-transform',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
  });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const write = (text: string): void => {
    if (response.writableLength > BEHIND) response.destroy();
    else response.write(text);
  };
  write('retry: 1000\n\n');
  const sending: Subscription = event$.subscribe({
    next: ([name, data]) => write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`),
    complete: () => response.end(),
  });
  sending.add(interval(ALIVE).subscribe(() => write(':\n\n')));
  response.once('close', () => sending.unsubscribe());
  // The page may have disconnected while `authorize` was pending. Then no `close` follows.
  if (response.destroyed || response.writableEnded) sending.unsubscribe();
}
