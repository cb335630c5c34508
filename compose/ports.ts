import { PORTS, listenAt, randomPort } from '../lib/testing/faults/fault-proxy';

const given = new Set<number>();

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
  throw new Error(
    `Expected a free port on 127.0.0.1 between ${PORTS.first} and ${PORTS.last}, but 200 tries found none`,
  );
}

async function canListen(port: number, host?: string): Promise<boolean> {
  const server = await listenAt(port, host).catch(() => undefined);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}
