import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closing } from './closing';

/** Listens on a free port of the loopback interface until `closeAll()`. Resolves with the URL, without a path. */
export async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing({
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  });
  const { port } = server.address() as AddressInfo;
  return `http://127.0.0.1:${String(port)}`;
}
