import type { IncomingMessage, ServerResponse } from 'node:http';
import { interval, type Observable, type Subscription } from 'rxjs';
import { type Check, checkOptions, func, isObject, type Shape, string } from '../options';
import { pageFile } from './page-files';
import type { PageEvent } from './view';
import { type HasMetrics, Watch } from './watch';

/// <reference types="node" preserve="true" />
/**
 * A live page of a queue, for the service that uses it.
 * @module instance-queue/dashboard
 */

export type { HasMetrics } from './watch';

/** A module of your own that extends the page. Both are URLs on the origin of the page. */
export interface DashboardPanel {
  /** The URL of an ES module. `<aside id="panel">` is visible on the page, for its content. */
  readonly script: string;
  /** The URL of a style sheet. */
  readonly style?: string;
}

/** Access to the page, its title, and an extension. */
export interface DashboardOptions {
  /**
   * Called for each request before the answer. `false` is answered with 403, and so is a promise of `false`, an exception or a
   * rejection. @default allows every request
   */
  readonly authorize?: (request: IncomingMessage) => boolean | PromiseLike<boolean>;
  /** The heading of the page. @default 'instance-queue' */
  readonly title?: string;
  /** An extension of your own. @default none */
  readonly panel?: DashboardPanel;
}

const panel: Check = (value) =>
  isObject(value) && typeof value['script'] === 'string' && ['string', 'undefined'].includes(typeof value['style'])
    ? undefined
    : 'an object with a `script`, and perhaps a `style`';
const DASHBOARD: Shape<DashboardOptions> = { authorize: func, title: string, panel };

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const;

/**
 * Returns a request handler for `node:http` that serves a live page of the queue: connections, epochs, the causes of outages,
 * rates, waiting messages, consumers, and the last events. The page is read-only (GET and HEAD), and shows no message bodies
 * and no credentials. It does show addresses of brokers and names of queues: restrict access with `authorize`.
 *
 * Mount it at any path of Express, Fastify, Nest or a plain server; the page addresses its parts relative to itself. A request
 * for anything else is answered with 404, or passed to `next` in middleware. Open pages receive server-sent events until the
 * queue is closed. While no page is open, the handler only subscribes to `health$`. @throws OptionsError
 *
 * @example
 * createServer(dashboard(queue, { title: 'billing' })).listen(8090, '127.0.0.1');
 */
export function dashboard(
  queue: HasMetrics,
  options: DashboardOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  checkOptions(options, DASHBOARD, { of: 'dashboard()' });
  const { authorize = () => true, title = 'instance-queue', panel } = options;
  const watch = new Watch(queue, title);

  return (request, response, next) => {
    const name = partOf(request, next !== undefined);
    if (name === undefined) {
      if (next) next();
      else refuse(response, 404, 'The dashboard has no such file.');
      return;
    }
    Promise.resolve()
      .then(() => authorize(request))
      .then(
        (allowed) => {
          if (allowed) answer(name, request, response, watch, panel);
          else refuse(response, 403, 'You may not see this dashboard.');
        },
        () => {
          refuse(response, 403, 'You may not see this dashboard.');
        },
      );
  };
}

/**
 * Returns the requested part of the page. `''` is the page itself. A name with a leading slash is a request for the page without
 * its trailing slash, to be redirected. Middleware sees the path below its mount point; a plain handler does not know where it
 * is mounted, and uses the last segment.
 */
function partOf(request: IncomingMessage, middleware: boolean): string | undefined {
  const path = pathOf(request.url);
  const whole =
    'originalUrl' in request && typeof request.originalUrl === 'string' ? pathOf(request.originalUrl) : path;
  const last = whole.slice(whole.lastIndexOf('/') + 1);
  const name = middleware ? path.slice(1) : last;
  if (name === '') return last === '' ? '' : `/${last}`;
  if (name === 'events' || pageFile(name)) return name;
  return middleware || name.includes('.') ? undefined : `/${name}`;
}

const pathOf = (url = '/'): string => url.replace(/[?#].*$/s, '');

function answer(
  name: string,
  request: IncomingMessage,
  response: ServerResponse,
  watch: Watch,
  panel: DashboardPanel | undefined,
): void {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    refuse(response, 405, 'The dashboard is read-only: GET or HEAD.');
    return;
  }
  if (name.startsWith('/')) {
    response.writeHead(302, { ...HEADERS, location: `.${name}/` }).end();
    return;
  }
  if (name === 'events') {
    sendEvents(watch.event$, request, response);
    return;
  }
  const file = pageFile(name === '' ? 'index.html' : name);
  const content = name === '' ? withPanel(file?.content ?? '', panel) : file?.content;
  response.writeHead(200, { ...HEADERS, 'content-type': file?.type ?? 'text/plain' });
  // For HEAD, Node.js sends the headers only.
  response.end(content);
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

function withPanel(html: string, panel: DashboardPanel | undefined): string {
  if (!panel) return html;
  const style = panel.style === undefined ? '' : `<link rel="stylesheet" href="${escaped(panel.style)}" />`;
  const script = `<script src="${escaped(panel.script)}" type="module"></script>`;
  return html.replace('</head>', `${style}${script}</head>`).replace('<aside id="panel" hidden>', '<aside id="panel">');
}

function refuse(response: ServerResponse, statusCode: number, text: string): void {
  response.writeHead(statusCode, {
    ...HEADERS,
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(`${text}\n`);
}

/** Bytes buffered for a page. A page that reads too slowly is disconnected; it reconnects and gets the present state. */
const BEHIND = 1024 * 1024;
/** ms between two comments, which keep proxies from closing an idle connection. */
const ALIVE = 15_000;

/** Sends server-sent events until the page disconnects or `event$` completes. */
function sendEvents(event$: Observable<PageEvent>, request: IncomingMessage, response: ServerResponse): void {
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
