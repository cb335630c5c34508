import { Buffer } from 'node:buffer';
import { types } from 'node:util';

/** Bytes in any of the forms in which JavaScript holds them. */
export type Binary = ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

export const isBinary = (value: unknown): value is Binary => ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value);

/**
 * The bytes of a Buffer, a typed array, a DataView or an ArrayBuffer; undefined for anything else. Shares their memory where
 * it can. The checks hold for objects of another realm, too: a `vm` context, the sandbox of a test runner.
 * @throws TypeError if the memory was transferred to another thread
 */
export function bytesOf(value: unknown): Buffer | undefined {
  // A detached Buffer has no length left; only making a new one of its memory fails.
  if (Buffer.isBuffer(value) && value.length > 0) return value;
  if (ArrayBuffer.isView(value)) return over(value.buffer, value.byteOffset, value.byteLength);
  return types.isAnyArrayBuffer(value) ? over(value) : undefined;
}

function over(memory: ArrayBufferLike, from = 0, length = memory.byteLength): Buffer {
  const bytes = Buffer.from(memory, from, length);
  // Another thread may write there until the message is sent.
  return types.isSharedArrayBuffer(memory) ? Buffer.from(bytes) : bytes;
}
