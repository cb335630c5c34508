import { connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { monotonic } from './clock';

const ASK_EVERY = 10;

/** Resolves with the time at which the broker of this URL first answers a client: it is up from then on. */
export async function firstWord(brokerUrl: string): Promise<number> {
  const { hostname, port } = new URL(brokerUrl);
  for (;;) {
    const at = await greeted(hostname, Number(port || 5672));
    if (at !== undefined) return at;
    await pause(ASK_EVERY);
  }
}

function greeted(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => socket.write(Buffer.from('AMQP\0\0\u0009\u0001', 'latin1')));
    socket.once('data', () => {
      resolve(monotonic());
      socket.destroy();
    });
    socket.once('error', () => undefined);
    socket.once('close', () => resolve(undefined));
  });
}
