import { createServer, type Server } from 'node:net';

/**
 * Below the range from which Linux and macOS take the ports of outgoing connections. A broker or proxy that is down for a
 * while must find its port again: in that range a dialling client could get it as its own, or even be connected to itself.
 */
const FIRST = 20_000;
const LAST = 32_000;

const given = new Set<number>();

/** A port from the quiet range at random; not known to be free. */
export function randomPort(): number {
  return FIRST + Math.floor(Math.random() * (LAST - FIRST));
}

/** A server that listens on 127.0.0.1, or else where it is told. Rejects if the port is taken. */
export function listenAt(port: number, host = '127.0.0.1'): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}

/** Whether a listener on 127.0.0.1 can have this port now. */
export function isFree(port: number): Promise<boolean> {
  return canListen(port);
}

/** Whether this host is this machine: one can listen on none but one's own addresses. */
export function isOwnAddress(host: string): Promise<boolean> {
  return canListen(0, host);
}

/** A free port that this process has not given out before: brokers started side by side never meet. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries += 1) {
    const port = randomPort();
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
  throw new Error(`Expected a free port on 127.0.0.1 between ${FIRST} and ${LAST}, but 200 tries found none`);
}

async function canListen(port: number, host?: string): Promise<boolean> {
  const server = await listenAt(port, host).catch(() => undefined);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}
