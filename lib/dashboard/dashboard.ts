import type { IncomingMessage, ServerResponse } from 'node:http';
import { interval, type Observable, type Subscription } from 'rxjs';
import { type Check, checkOptions, func, isObject, type Shape, string } from '../options';
import { DeadLetterLooks, type HasDeadLetters, type PageEvent } from './view';
import { pageFile } from './page-files';
import { type HasMetrics, Watch } from './watch';

/// <reference types="node" preserve="true" />
/**
 * A live page of a queue, for the service that uses it.
 * @module instance-queue/dashboard
 */

export type { HasDeadLetters } from './view';
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
  /**
   * Dead-letter queues whose letters the page shows in groups, when someone asks for it: `[deadLetters(queue, 'orders.dead')]`. It shows
   * error messages from their headers, and no bodies. A look makes the broker deliver the oldest 1000 letters; see `DeadLetters`.
   * @default none
   */
  readonly deadLetters?: readonly HasDeadLetters[];
  /** An extension of your own. @default none */
  readonly panel?: DashboardPanel;
}

const panel: Check = (value) =>
  isObject(value) && typeof value['script'] === 'string' && ['string', 'undefined'].includes(typeof value['style'])
    ? undefined
    : 'an object with a `script`, and perhaps a `style`';
const deadLetterQueues: Check = (value) =>
  Array.isArray(value) && value.every((one) => isObject(one) && func(one['groups']) === undefined)
    ? undefined
    : 'a list of what `deadLetters(queue, name)` returns';
const DASHBOARD: Shape<DashboardOptions> = { authorize: func, title: string, deadLetters: deadLetterQueues, panel };

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
  const { authorize = () => true, title = 'instance-queue', deadLetters = [], panel } = options;
  const watch = new Watch(queue, title);
  const page: Page = { watch, panel, looks: deadLetters.length > 0 ? new DeadLetterLooks(deadLetters) : undefined };

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
          if (isAnswered(response)) return;
          if (allowed) answer(name, request, response, page);
          else refuse(response, 403, 'You may not see this dashboard.');
        },
        () => {
          if (!isAnswered(response)) refuse(response, 403, 'You may not see this dashboard.');
        },
      );
  };
}

/** Has the app answered by itself, because the dashboard took too long? A second answer would throw. */
const isAnswered = (response: ServerResponse): boolean => response.headersSent;

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
  if (name === 'events' || name === DEAD_LETTERS || pageFile(name)) return name;
  return middleware || name.includes('.') ? undefined : `/${name}`;
}

const pathOf = (url = '/'): string => url.replace(/[?#].*$/s, '');

/** What the page shows. */
interface Page {
  readonly watch: Watch;
  readonly panel: DashboardPanel | undefined;
  /** Undefined: it shows no dead letters. */
  readonly looks: DeadLetterLooks | undefined;
}

const DEAD_LETTERS = 'dead-letters';

function answer(name: string, request: IncomingMessage, response: ServerResponse, { watch, panel, looks }: Page): void {
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
  if (name === DEAD_LETTERS) {
    if (looks) sendLook(looks, response);
    else refuse(response, 404, 'The dashboard shows no dead letters.');
    return;
  }
  const file = pageFile(name === '' ? 'index.html' : name);
  const content = name === '' ? withDeadLetters(withPanel(file?.content ?? '', panel), looks) : file?.content;
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
  // By a function: `$` has a meaning in a replacement that is text.
  return html
    .replace('</head>', (head) => `${style}${script}${head}`)
    .replace('<aside id="panel" hidden>', '<aside id="panel">');
}

const withDeadLetters = (html: string, looks: DeadLetterLooks | undefined): string =>
  looks ? html.replace(/(<section class="card" id="dead-letters"[^>]*) hidden>/, '$1>') : html;

function sendLook(looks: DeadLetterLooks, response: ServerResponse): void {
  void looks.look().then((views) => {
    if (isAnswered(response)) return;
    const headers = { ...HEADERS, 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' };
    response.writeHead(200, headers);
    response.end(JSON.stringify(views));
  });
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
