import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes of Buffers that are still referenced, after a garbage collection. */
export function heldBytes(): number {
  collectGarbage();
  return process.memoryUsage().arrayBuffers;
}

/** The same with the heap. */
export function heldMemory(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Node hides `gc` by default; a context created after the flag is set has it. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function')
    throw new Error('Expected `gc` to be a function in a context created after --expose-gc');
  // Buffers that the first collection finds are freed on another thread; the second collection waits for that.
  for (let times = 0; times < 2; times++) Reflect.apply(collect, undefined, []);
}
