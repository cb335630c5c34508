import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { feed } from './feed';
import { fileAt } from './files';
import type { Runner } from './runner';
import { isOwnHost, isSameOrigin } from './same-origin';
import type { Traffic } from './traffic';
import type { Watch } from './watch';

export interface Served {
  readonly watch: Watch;
  readonly runner: Runner;
  readonly traffic: Traffic;
}

const SAFE = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};
const STATUS = { begun: 202, unknown: 404, busy: 409, unavailable: 409 } as const;

/** The page and its feed, for this machine alone. Rejects if the port is taken. */
export class DashboardServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** On `port` of 127.0.0.1; 0 is any. */
  static async start(served: Served, port: number): Promise<DashboardServer> {
    const server = createServer((request, response) => {
      answer(served, request, response).catch(() => response.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening').catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Expected port ${String(port)} to be free (--port takes another, 0 is any): ${why}`, { cause });
    });
    return new DashboardServer(server);
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}/`;
  }

  /** When the feeds have ended. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const stuck = setTimeout(() => this.#server.closeAllConnections(), 500);
    await closed;
    clearTimeout(stuck);
  }
}

async function answer(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/' } = request;
  const path = url.split('?')[0] ?? '/';
  for (const [name, value] of Object.entries(SAFE)) response.setHeader(name, value);
  if (!isOwnHost(request)) {
    end(response, 421, 'This page is at 127.0.0.1 only.');
    return;
  }
  if (method === 'POST') {
    if (!isSameOrigin(request)) {
      end(response, 403, 'Only the page itself may do that.');
      return;
    }
    end(response, order(served, path), '');
    return;
  }
  if (method !== 'GET' && method !== 'HEAD') {
    end(response, 405, 'GET or POST.');
    return;
  }
  if (path === '/events' && method === 'GET') {
    feed(served.watch, response);
    return;
  }
  const file = await fileAt(path);
  if (!file) {
    end(response, 404, 'There is no such page.');
    return;
  }
  response.setHeader('content-type', file.type);
  response.end(method === 'HEAD' ? undefined : file.content);
}

/** Does what the page asks for, and gives the status of the answer. */
function order({ runner, traffic }: Served, path: string): number {
  if (path === '/pause' || path === '/resume') {
    traffic.pause(path === '/pause');
    return 204;
  }
  const [, id] = /^\/troubles\/([\w-]+)$/.exec(path) ?? [];
  return STATUS[runner.begin(id ?? '')];
}

function end(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}
