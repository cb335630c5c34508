import type { AddressInfo, Server } from 'node:net';
import { FakeClient } from './fake-client';
import { listenAt } from '../../../lib/testing/faults/fault-proxy';
import { freePort } from '../../../compose/ports';

export type { FakeClient, Handler } from './fake-client';
export type { PublishedMessage, ReceivedMethod } from './publish-assembler';

/**
 * A broker that follows a script, for what a real one does not do on demand. It agrees to everything and keeps no queues.
 * The script runs for each connection before its first byte is read, and may replace any answer.
 *
 * A fake shows how the library reacts. That a real broker behaves so is for another test to show.
 */
export class FakeBroker {
  readonly url: string;
  readonly port: number;
  /** All connections so far, also those that are closed. */
  readonly clients: FakeClient[] = [];
  readonly #server: Server;
  readonly #waiting = new Set<(client: FakeClient) => void>();

  private constructor(server: Server, script: (client: FakeClient, number: number) => void) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.url = `amqp://guest:guest@127.0.0.1:${this.port}/`;
    server.on('connection', (socket) => {
      socket.setNoDelay(true);
      const client = new FakeClient(socket);
      this.clients.push(client);
      script(client, this.clients.length);
      for (const tell of this.#waiting) tell(client);
      this.#waiting.clear();
    });
  }

  /** @param script called with each connection and its number, from 1 */
  static async start(script: (client: FakeClient, number: number) => void = () => undefined): Promise<FakeBroker> {
    return new FakeBroker(await listenAt(await freePort()), script);
  }

  nextClient(): Promise<FakeClient> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  /** Resets all connections and frees the port. */
  async close(): Promise<void> {
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of this.clients) client.reset();
    await Promise.all([stopped, ...this.clients.map((client) => client.closed)]);
  }
}
