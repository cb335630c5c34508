import type { FakeClient } from './fake-broker';
import { eventually } from '../waiting';

/** The header of a heartbeat frame of 1 MB. The frame never ends, so the client cannot find it malformed. */
const ENDLESS = Buffer.from([8, 0, 0, 0, 0x0f, 0x42, 0x40]);

/** Resolves when the client has destroyed its socket. If it had only ended it, it would still accept what is sent. */
export async function socketDestroyed(client: FakeClient | undefined, limit = 10_000): Promise<void> {
  let closed = false;
  void client?.closed.then(() => (closed = true));
  client?.write(ENDLESS);
  await eventually(() => {
    client?.write(Buffer.alloc(1));
    return closed;
  }, limit);
}
