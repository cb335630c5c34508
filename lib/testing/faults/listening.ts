import { createServer, type Server } from 'node:net';

/**
 * Below the range from which Linux and macOS take the ports of outgoing connections. A broker or proxy that is down for a
 * while must find its port again: in that range a dialling client could get it as its own, or even be connected to itself.
 */
export const PORTS = { first: 20_000, last: 32_000 };

/** A port from the quiet range at random; not known to be free. */
export function randomPort(): number {
  return PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
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
