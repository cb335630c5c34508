import type { FaultProxy } from 'instance-queue/testing';
import { monotonic } from './clock';

/** Class and method of what a broker says of a whole connection. */
const METHODS = { 'connection.close': [10, 50], 'connection.unblocked': [10, 61] } as const;

/**
 * Resolves with when the broker says this to the client: `rabbitmqctl`, which makes it do so, returns much later.
 * A frame cut in two by TCP is missed, so there is a time limit, after which it resolves with that moment.
 */
export function heard(proxy: FaultProxy, method: keyof typeof METHODS, limit = 10_000): Promise<number> {
  // A method frame (1) on channel 0; its size may be anything.
  const head = Buffer.from([1, 0, 0]);
  const [classId, methodId] = METHODS[method];
  const body = Buffer.from([0, classId, 0, methodId]);
  return new Promise((resolve) => {
    const found = (): void => {
      off();
      clearTimeout(late);
      resolve(monotonic());
    };
    const late = setTimeout(found, limit);
    const off = proxy.onBytes((direction, chunk) => {
      if (direction === 'toBroker') return;
      for (let at = chunk.indexOf(body); at >= 0; at = chunk.indexOf(body, at + 1)) {
        if (at >= 7 && chunk.subarray(at - 7, at - 4).equals(head)) found();
      }
    });
  });
}
