import type { FaultProxy } from 'instance-queue/testing';
import { monotonic } from './clock';

/** Class and method of frames that concern a whole connection. */
const METHODS = { 'connection.close': [10, 50], 'connection.unblocked': [10, 61] } as const;

/**
 * Resolves with the time at which the broker sends this method to the client: the `rabbitmqctl` that causes it returns much later.
 * Misses a frame that TCP splits, so after a time limit it resolves with the time of the limit.
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
