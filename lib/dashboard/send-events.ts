import type { IncomingMessage, ServerResponse } from 'node:http';
import { interval, type Observable, type Subscription } from 'rxjs';
import type { PageEvent } from './view';

/** Bytes that a page may be behind. A page that does not read is cut off; it reconnects, and gets the present. */
const BEHIND = 1024 * 1024;
/** ms between two comments, so that proxies do not take a quiet connection for a dead one. */
const ALIVE = 15_000;

/** Server-sent events, until the page goes away or `event$` completes. */
export function sendEvents(event$: Observable<PageEvent>, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    // Compression would hold events back, and nginx collects them, unless they are told otherwise.
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
  // It may have gone while `authorize` was asked: then there is no `close` to come.
  if (response.destroyed || response.writableEnded) sending.unsubscribe();
}
