/** The parts of amqplib that the fuzzer compares with. They are internal, which only tests may use. */
import type { Options } from 'amqplib';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const load = createRequire(__filename);
const exportsOf = (name: string): Record<string, unknown> =>
  load(join(__dirname, '../../node_modules/amqplib/lib', name)) as Record<string, unknown>;

const codec = exportsOf('codec.js') as {
  readonly encodeTable: (to: Buffer, table: object, at: number) => number;
  readonly decodeFields: (from: Buffer) => Record<string, unknown>;
};
const defs = exportsOf('defs.js') as {
  readonly BasicPublish: number;
  readonly BasicDeliver: number;
  readonly BasicProperties: number;
  readonly encodeMethod: (id: number, channel: number, fields: object) => Buffer;
  readonly encodeProperties: (id: number, channel: number, size: number, fields: object) => Buffer;
};
const { publish } = exportsOf('api_args.js') as {
  readonly publish: (exchange: string, routingKey: string, options: Options.Publish) => object;
};
const { makeBodyFrame } = exportsOf('frame.js') as {
  readonly makeBodyFrame: (channel: number, body: Buffer) => Buffer;
};
const { Connection } = exportsOf('connection.js') as { readonly Connection: { readonly prototype: object } };

const SCRATCH = Buffer.alloc(65_536);

/** The members of a table, without its length. */
export const readTable = (bytes: Buffer): Record<string, unknown> => codec.decodeFields(bytes);
export const writeTable = (table: object): Buffer => SCRATCH.subarray(0, codec.encodeTable(SCRATCH, table, 0));

/** Method and header frame of a message. */
export function writeHead(
  channel: number,
  { exchange, routingKey }: { readonly exchange: string; readonly routingKey: string },
  size: number,
  options: Options.Publish,
): Buffer {
  const fields = publish(exchange, routingKey, options);
  return Buffer.concat([
    Buffer.from(defs.encodeMethod(defs.BasicPublish, channel, fields)),
    Buffer.from(defs.encodeProperties(defs.BasicProperties, channel, size, fields)),
  ]);
}

/** The frames of a delivery. */
export const writeDelivery = (channel: number, fields: object, properties: object, body: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from(defs.encodeMethod(defs.BasicDeliver, channel, fields)),
    Buffer.from(defs.encodeProperties(defs.BasicProperties, channel, body.length, properties)),
    ...(body.length > 0 ? [makeBodyFrame(channel, body)] : []),
  ]);

export interface ReadingConnection {
  rest: Buffer;
  readonly channels: { channel: object }[];
  /** The next frame; `false`: none is complete. */
  recvFrame(): unknown;
}

/** As much of a connection as reads frames, without a socket. */
export function readingConnection(): ReadingConnection {
  const connection: unknown = Object.assign(Object.create(Connection.prototype) as object, {
    rest: Buffer.alloc(0),
    stream: { read: () => null },
    maxFrameSize: 0,
    accept: () => undefined,
    channels: [],
    recvSinceLastCheck: false,
  });
  return connection as ReadingConnection;
}
