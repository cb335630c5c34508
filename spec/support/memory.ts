import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of Buffers that somebody still holds, after a collection of garbage. */
export function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** The same with what is on the heap. */
export function heldMemory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Node has it hidden; a context made afterwards shows it. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('Expected a way to collect garbage');
  // Buffers that the first one found dead are freed on another thread; the second begins by waiting for it.
  for (let times = 0; times < 2; times++) Reflect.apply(collect, undefined, []);
}
