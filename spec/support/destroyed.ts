import type { FakeClient } from '../../compose/fake-broker';
import { eventually } from './waiting';

const HEARTBEAT = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xce]);

/** Resolves when the client's socket is destroyed: not only ended, for then it would still take what is sent. */
export async function destroyed(client: FakeClient | undefined, limit = 1000): Promise<void> {
  let closed = false;
  void client?.closed.then(() => (closed = true));
  await eventually(() => {
    client?.write(HEARTBEAT);
    return closed;
  }, limit);
}
