import { createServer, type Server } from 'node:net';

/**
 * Below the range from which Linux and macOS take the ports of outgoing connections. A broker or proxy that is down for a
 * while must get its port back: from that range, a dialling client could take it, or even be connected to itself.
 */
export const PORTS = { first: 20_000, last: 32_000 };

/** A random port of that range, free or not. */
export function randomPort(): number {
  return PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
}

/** A server that listens on this port. Rejects if the port is taken. */
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
