import type { Socket } from 'node:net';

/** Ends a connection with an RST, and destroys the socket in any case. */
export function abort(socket: Socket): void {
  if (socket.destroyed) return;
  // resetAndDestroy would wait until a pending dial is answered. While a shutdown is pending a reset fails (EINVAL), and
  // 'close' never comes.
  if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
  else socket.resetAndDestroy();
}
