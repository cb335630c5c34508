import { dashboard } from 'instance-queue/dashboard';
import type { InstanceQueue } from 'instance-queue';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addPanel, panelFile } from './panel-files';
import type { PanelWatch } from './panel-watch';
import type { Runner } from './runner';
import { isOwnHost, isSameOrigin } from './same-origin';
import type { Traffic } from './traffic';

export interface Served {
  readonly queue: InstanceQueue;
  readonly watch: PanelWatch;
  readonly runner: Runner;
  readonly traffic: Traffic;
}

const STATUS = { begun: 202, unknown: 404, busy: 409, unavailable: 409 } as const;

/** The dashboard of the library with the panel of faults, for this machine alone. Rejects if the port is taken. */
export class DashboardServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** On `port` of 127.0.0.1; 0 is any. */
  static async start(served: Served, port: number): Promise<DashboardServer> {
    const page = dashboard(served.queue, {
      title: 'instance-queue',
      panel: { script: '/faults/panel.js', style: '/faults/panel.css' },
    });
    const server = createServer((request, response) => {
      answer(served, page, request, response);
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

  /** Resolves when all pages are disconnected. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeIdleConnections();
    const stuck = setTimeout(() => this.#server.closeAllConnections(), 500);
    await closed;
    clearTimeout(stuck);
  }
}

function answer(
  served: Served,
  page: ReturnType<typeof dashboard>,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { method = 'GET', url = '/' } = request;
  const path = url.split('?')[0] ?? '/';
  if (!isOwnHost(request)) {
    end(response, 421, 'This page is at 127.0.0.1 only.');
  } else if (method === 'POST') {
    if (isSameOrigin(request)) end(response, order(served, path), '');
    else end(response, 403, 'Only the page itself may do that.');
  } else if (path.startsWith('/faults/')) {
    const file = panelFile(path.slice('/faults/'.length));
    if (file) response.writeHead(200, { 'content-type': file.type, 'cache-control': 'no-cache' }).end(file.content);
    else end(response, 404, 'There is no such file.');
  } else {
    page(request, response);
    if (path === '/events' && method === 'GET') addPanel(served.watch, response);
  }
}

/** Executes an order of the page. Returns the status of the answer. */
function order({ runner, traffic }: Served, path: string): number {
  if (path === '/pause' || path === '/resume') {
    traffic.pause(path === '/pause');
    return 204;
  }
  if (path === '/troubles') return STATUS[runner.beginAll()];
  const [, id] = /^\/troubles\/([\w-]+)$/.exec(path) ?? [];
  return STATUS[runner.begin(id ?? '')];
}

function end(response: ServerResponse, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader('content-type', 'text/plain; charset=utf-8');
  response.end(text);
}
