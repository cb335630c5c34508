import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The arguments of a method or the properties of a message, under amqplib's names: `deliveryTag`, `replyCode`. */
export type Fields = Readonly<Record<string, unknown>>;

/** The part that is used here of amqplib's codec. It is generated from the specification and has no types. */
interface Codec {
  readonly [name: string]: unknown;
  info(id: number): { readonly args: readonly { readonly type: string; readonly name: string }[] };
  decode(id: number, payload: Buffer): Fields;
  encodeMethod(id: number, channel: number, fields: Fields): Buffer;
  encodeProperties(id: number, channel: number, size: number, fields: Fields): Buffer;
}

const load = createRequire(__filename);
// By path, because amqplib does not export it. If amqplib moves it, only the tests break.
const codec = load(join(dirname(load.resolve('amqplib')), 'lib', 'defs.js')) as Codec;

const BASIC_CLASS = 60;

/** The name of a method (`basic.get-ok`) by its number: the class in the upper two bytes, the method in the lower two. */
const NAMES = new Map<number, string>();
const IDS = new Map<string, number>();
for (const [key, id] of Object.entries(codec)) {
  // The one entry for properties has nothing in the upper two bytes.
  if (typeof id !== 'number' || id <= 0xffff) continue;
  const [kind = '', ...words] = key
    .replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
    .slice(1)
    .split('-');
  const name = `${kind}.${words.join('-')}`;
  NAMES.set(id, name);
  IDS.set(name, id);
}

export function nameOfMethod(classId: number, methodId: number): string {
  return NAMES.get(classId * 0x10000 + methodId) ?? `${classId}.${methodId}`;
}

/** The arguments of a method, from its payload behind the class and method numbers. */
export function decodeMethod(name: string, payload: Buffer): Fields {
  return codec.decode(idOf(name), payload);
}

/** The whole frame of a method. Where amqplib wants a Buffer, a string will do. */
export function encodeMethod(name: string, channel: number, fields: Fields): Buffer {
  const id = idOf(name);
  const given: Record<string, unknown> = { ...fields };
  for (const { type, name: key } of codec.info(id).args) {
    const value = given[key];
    if (type === 'longstr' && typeof value === 'string') given[key] = Buffer.from(value);
  }
  return codec.encodeMethod(id, channel, given);
}

/** The properties of a message, from the payload of its header frame. */
export function decodeProperties(header: Buffer): Fields {
  return codec.decode(BASIC_CLASS, header.subarray(12));
}

/** The header frame and the body frames of a message. */
export function encodeContent(channel: number, properties: Fields, body: Buffer, frameMax: number): Buffer {
  const frames = [codec.encodeProperties(BASIC_CLASS, channel, body.length, properties)];
  const room = frameMax - 8;
  for (let at = 0; at < body.length; at += room) frames.push(bodyFrame(channel, body.subarray(at, at + room)));
  return Buffer.concat(frames);
}

function bodyFrame(channel: number, piece: Buffer): Buffer {
  const frame = Buffer.alloc(piece.length + 8);
  frame.writeUInt8(3, 0);
  frame.writeUInt16BE(channel, 1);
  frame.writeUInt32BE(piece.length, 3);
  piece.copy(frame, 7);
  frame.writeUInt8(0xce, piece.length + 7);
  return frame;
}

function idOf(name: string): number {
  const id = IDS.get(name);
  if (id === undefined)
    throw new Error(`Expected the name of an AMQP method such as basic.ack, got ${JSON.stringify(name)}`);
  return id;
}
