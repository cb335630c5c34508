import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** `KILL_REQ` of the protocol of epmd, the port mapper of Erlang, after its length in two bytes. */
const KILL_REQ = Buffer.from([0, 1, 'k'.charCodeAt(0)]);

/**
 * Ends the epmd on this port. By its own protocol, because epmd makes itself a daemon and leaves nobody its pid.
 * It says no while a node is still registered, so it is asked again for some seconds.
 */
export async function endEpmd(port: number, limit = 5_000): Promise<void> {
  const deadline = performance.now() + limit;
  while ((await ask(port)) !== 'gone' && performance.now() < deadline) await pause(50);
}

function ask(port: number): Promise<'gone' | 'busy'> {
  return new Promise((resolve) => {
    let refused = false;
    const socket = connect({ host: '127.0.0.1', port });
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('connect', () => socket.write(KILL_REQ));
    socket.on('error', (error: NodeJS.ErrnoException) => (refused = error.code === 'ECONNREFUSED'));
    socket.resume().on('close', () => resolve(refused ? 'gone' : 'busy'));
  });
}
