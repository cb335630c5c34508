import type { FaultDirection, FaultProxy } from '../../../lib/testing/faults/fault-proxy';
import { decodeMethod, nameOfMethod, type Fields } from './methods';

export type FrameType = 'method' | 'header' | 'body' | 'heartbeat';

export interface Frame {
  readonly type: FrameType;
  readonly channel: number;
  /** Of a method: `basic.ack`. Of any other frame: its type. */
  readonly name: string;
  /** Of a method or a header, else 0. */
  readonly classId: number;
  /** Of a method, else 0. */
  readonly methodId: number;
  /** Of a method: its arguments without the two numbers. */
  readonly payload: Buffer;
}

/** AMQP 0-9-1, section 4.2.3: the octet that begins a frame, and the one that ends it. */
const TYPES: Readonly<Record<number, FrameType>> = { 1: 'method', 2: 'header', 3: 'body', 8: 'heartbeat' };
const FRAME_END = 0xce;
/** Type, channel and size; section 4.2.2 has the protocol header, just as long and one octet more. */
const FRAME_HEADER = 7;
const PROTOCOL_HEADER = 8;

/** Makes frames of the bytes of one direction of one connection, however they are cut into chunks. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);
  #headerDue: boolean;

  /** What comes from a client begins with the protocol header, which is skipped. */
  constructor(from: 'client' | 'broker') {
    this.#headerDue = from === 'client';
  }

  /** The frames that are complete with this chunk. */
  push(chunk: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    if (this.#headerDue && this.#rest.length >= PROTOCOL_HEADER) {
      this.#rest = this.#rest.subarray(PROTOCOL_HEADER);
      this.#headerDue = false;
    }
    const frames: Frame[] = [];
    while (!this.#headerDue && this.#rest.length >= FRAME_HEADER) {
      const end = FRAME_HEADER + this.#rest.readUInt32BE(3);
      if (this.#rest.length <= end) break;
      if (this.#rest[end] !== FRAME_END)
        throw new Error(`Expected a frame to end with ${FRAME_END}, got ${this.#rest[end]}`);
      frames.push(frameOf(this.#rest.readUInt8(0), this.#rest.readUInt16BE(1), this.#rest.subarray(FRAME_HEADER, end)));
      this.#rest = this.#rest.subarray(end + 1);
    }
    return frames;
  }
}

/** The arguments of a method frame, by amqplib's names: `{ deliveryTag: 3, multiple: true }`. */
export function fieldsOf(frame: Frame): Fields {
  if (frame.type !== 'method') throw new Error(`Expected a method frame, got one of type ${frame.type}`);
  return decodeMethod(frame.name, frame.payload);
}

/** A frame that a proxy saw. */
export interface SeenFrame extends Frame {
  readonly direction: FaultDirection;
  /** The number of the connection, as the proxy counts them. */
  readonly link: number;
}

/** Keeps every frame that goes through a proxy from now on. Heartbeats are left out: they come when they please. */
export class FrameLog {
  readonly frames: SeenFrame[] = [];
  /** Ends it. */
  readonly stop: () => void;

  constructor(proxy: FaultProxy) {
    const decoders = new Map<string, FrameDecoder>();
    const linksBefore = proxy.linkCount;
    this.stop = proxy.onBytes((direction, chunk, link) => {
      // The bytes of a connection that was there before may begin in the middle of a frame.
      if (link <= linksBefore) return;
      const key = `${direction} ${link}`;
      const decoder = decoders.get(key) ?? new FrameDecoder(direction === 'toBroker' ? 'client' : 'broker');
      decoders.set(key, decoder);
      for (const frame of decoder.push(chunk)) {
        if (frame.type !== 'heartbeat') this.frames.push({ ...frame, direction, link });
      }
    });
  }

  /** The names of the methods of one direction, in order. */
  methods(direction: FaultDirection): string[] {
    return this.frames
      .filter((frame) => frame.direction === direction && frame.type === 'method')
      .map((frame) => frame.name);
  }

  /** The methods of this name with their arguments, in order. */
  of(name: string): (SeenFrame & { readonly fields: Fields })[] {
    return this.frames.filter((frame) => frame.name === name).map((frame) => ({ ...frame, fields: fieldsOf(frame) }));
  }

  clear(): void {
    this.frames.length = 0;
  }
}

function frameOf(octet: number, channel: number, payload: Buffer): Frame {
  const type = TYPES[octet];
  if (type === undefined) throw new Error(`Expected the type of a frame to be 1, 2, 3 or 8, got ${octet}`);
  const classId = type === 'method' || type === 'header' ? payload.readUInt16BE(0) : 0;
  if (type !== 'method') return { type, channel, name: type, classId, methodId: 0, payload };
  const methodId = payload.readUInt16BE(2);
  return { type, channel, name: nameOfMethod(classId, methodId), classId, methodId, payload: payload.subarray(4) };
}
