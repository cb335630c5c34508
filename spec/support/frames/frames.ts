import type { FaultDirection, FaultProxy } from '../../../lib/testing/faults/fault-proxy';
import { decodeMethod, nameOfMethod, type Fields } from './methods';

export type FrameType = 'method' | 'header' | 'body' | 'heartbeat';

export interface Frame {
  readonly type: FrameType;
  readonly channel: number;
  /** The name of a method, such as `basic.ack`; the type of any other frame. */
  readonly name: string;
  /** 0 unless it is a method or a header. */
  readonly classId: number;
  /** 0 unless it is a method. */
  readonly methodId: number;
  /** Of a method: its arguments, without the class and method numbers. */
  readonly payload: Buffer;
}

/** AMQP 0-9-1, section 4.2.3: the first byte of a frame is its type, and the last is always the same. */
const TYPES: Readonly<Record<number, FrameType>> = { 1: 'method', 2: 'header', 3: 'body', 8: 'heartbeat' };
const FRAME_END = 0xce;
/** Bytes of type, channel and size together, and of the protocol header (section 4.2.2). */
const FRAME_HEADER = 7;
const PROTOCOL_HEADER = 8;

/** Decodes the frames of one direction of one connection, however its bytes are cut into chunks. */
export class FrameDecoder {
  #rest: Buffer = Buffer.alloc(0);
  #headerDue: boolean;

  /** @param from the side whose bytes it decodes. A client's begin with the protocol header, which is skipped. */
  constructor(from: 'client' | 'broker') {
    this.#headerDue = from === 'client';
  }

  /** The frames that are complete with this chunk. */
  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
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

/** The arguments of a method frame, under amqplib's names: `{ deliveryTag: 3, multiple: true }`. */
export function fieldsOf(frame: Frame): Fields {
  if (frame.type !== 'method') throw new Error(`Expected a method frame, got one of type ${frame.type}`);
  return decodeMethod(frame.name, frame.payload);
}

/** A frame that has passed through a proxy. */
export interface SeenFrame extends Frame {
  readonly direction: FaultDirection;
  /** The number of the connection, as the proxy counts them: from 1. */
  readonly link: number;
}

/** Keeps every frame that passes through a proxy from now on, except heartbeats, whose timing no test controls. */
export class FrameLog {
  readonly frames: SeenFrame[] = [];
  /** Stops logging. */
  readonly stop: () => void;

  constructor(proxy: FaultProxy) {
    const decoders = new Map<string, FrameDecoder>();
    const linksBefore = proxy.linkCount;
    this.stop = proxy.onBytes((direction, chunk, link) => {
      // On a connection that was open before, the first bytes may be the middle of a frame.
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

function frameOf(byte: number, channel: number, payload: Buffer): Frame {
  const type = TYPES[byte];
  if (type === undefined) throw new Error(`Expected the type of a frame to be 1, 2, 3 or 8, got ${byte}`);
  const classId = type === 'method' || type === 'header' ? payload.readUInt16BE(0) : 0;
  if (type !== 'method') return { type, channel, name: type, classId, methodId: 0, payload };
  const methodId = payload.readUInt16BE(2);
  return { type, channel, name: nameOfMethod(classId, methodId), classId, methodId, payload: payload.subarray(4) };
}
