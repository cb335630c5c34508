import type { Socket } from 'node:net';

/** Ends a connection with RST, and lets go of the socket in any case. */
export function abort(socket: Socket): void {
  if (socket.destroyed) return;
  // resetAndDestroy would wait for a dial to be answered first.
  // With a shutdown pending a reset fails (EINVAL), and 'close' never comes.
  if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
  else socket.resetAndDestroy();
}
