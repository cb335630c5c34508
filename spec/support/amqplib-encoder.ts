/** amqplib's own encoder, as the judge of how large things are on the wire. None of its documented surface: tests only. */
import type { Options } from 'amqplib';
import { join } from 'node:path';

type EncodeTable = (buffer: Buffer, table: object, offset: number) => number;
type EncodeProperties = (id: number, channel: number, size: number, fields: object) => Buffer;
type PublishArguments = (exchange: string, routingKey: string, options: Options.Publish) => object;

/** `exports` of that file of amqplib. By its path: the package does not export it. */
function room(name: string): object {
  const exported: unknown = jest.requireActual(join(__dirname, '../../node_modules/amqplib/lib', name));
  if (typeof exported !== 'object' || exported === null) throw new Error(`amqplib has no ${name} any more.`);
  return exported;
}
function member(of: object, name: string): (...args: never[]) => unknown {
  const found: unknown = Reflect.get(of, name);
  if (typeof found !== 'function') throw new Error(`amqplib has no ${name} any more.`);
  return found as (...args: never[]) => unknown;
}

const encodeTable = member(room('codec.js'), 'encodeTable') as EncodeTable;
const encodeProperties = member(room('defs.js'), 'encodeProperties') as EncodeProperties;
const publishArguments = member(room('api_args.js'), 'publish') as PublishArguments;

/** amqplib has this much room for a table. */
const SCRATCH = 65_536;
const BASIC = 60;

/** The table as amqplib writes it. @throws what amqplib throws */
export function writeTable(table: object): Buffer {
  const buffer = Buffer.alloc(SCRATCH);
  return buffer.subarray(0, encodeTable(buffer, table, 0));
}

/** Bytes of the frame that amqplib writes for a message with these options. */
export function propertiesFrameSize(options: Options.Publish): number {
  return encodeProperties(BASIC, 1, 1, publishArguments('', '', options)).length;
}
