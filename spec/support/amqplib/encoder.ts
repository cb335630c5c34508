/** amqplib's own encoder, to compare sizes and bytes with. It relies on amqplib's internals, which only tests may do. */
import type { Options } from 'amqplib';
import { join } from 'node:path';

type EncodeTable = (buffer: Buffer, table: object, offset: number) => number;
type EncodeProperties = (id: number, channel: number, size: number, fields: object) => Buffer;
type PublishArguments = (exchange: string, routingKey: string, options: Options.Publish) => object;

/** The exports of a file of amqplib. By path, because the package does not export it. */
function exportsOf(name: string): object {
  const exported: unknown = jest.requireActual(join(__dirname, '../../../node_modules/amqplib/lib', name));
  if (typeof exported !== 'object' || exported === null) throw new Error(`amqplib has no ${name} any more.`);
  return exported;
}
function member(of: object, name: string): (...args: never[]) => unknown {
  const found: unknown = Reflect.get(of, name);
  if (typeof found !== 'function') throw new Error(`amqplib has no ${name} any more.`);
  return found as (...args: never[]) => unknown;
}

const encodeTable = member(exportsOf('codec.js'), 'encodeTable') as EncodeTable;
const encodeProperties = member(exportsOf('defs.js'), 'encodeProperties') as EncodeProperties;
const publishArguments = member(exportsOf('api_args.js'), 'publish') as PublishArguments;

/** amqplib encodes a table into a buffer of this size. */
const SCRATCH = 65_536;
const BASIC = 60;

/** The table as amqplib writes it. @throws what amqplib throws */
export function writeTable(table: object): Buffer {
  const buffer = Buffer.alloc(SCRATCH);
  return buffer.subarray(0, encodeTable(buffer, table, 0));
}

/** The size in bytes of the header frame that amqplib writes for a message with these options. */
export function propertiesFrameSize(options: Options.Publish): number {
  return encodeProperties(BASIC, 1, 1, publishArguments('', '', options)).length;
}
