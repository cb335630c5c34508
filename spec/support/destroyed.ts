import type { FakeClient } from './fake-broker/fake-broker';
import { eventually } from './waiting';

/** The head of a heartbeat that promises a payload of 1 MB; it never comes to its end, so nobody can object to it. */
const ENDLESS = Buffer.from([8, 0, 0, 0, 0x0f, 0x42, 0x40]);

/** Resolves when the client's socket is destroyed: not only ended, for then it would still take what is sent. */
export async function destroyed(client: FakeClient | undefined, limit = 10_000): Promise<void> {
  let closed = false;
  void client?.closed.then(() => (closed = true));
  client?.write(ENDLESS);
  await eventually(() => {
    client?.write(Buffer.alloc(1));
    return closed;
  }, limit);
}
