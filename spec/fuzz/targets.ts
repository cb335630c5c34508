/** What reads bytes that a broker or a message brings. Each target throws for a fault, and compares with amqplib where it can. */
import { deepStrictEqual, strictEqual } from 'node:assert';
import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { fromAmqp, publishOptions } from '../../lib/amqp/amqp-properties';
import { Arrival } from '../../lib/amqp/wire/delivery-frames';
import { writeFieldTable, nestsDeeper } from '../../lib/amqp/wire/field-table';
import { guardFrames } from '../../lib/amqp/wire/frame-guard';
import { publishFrame, Templates, writeHeaderFrame, type FramedMessage } from '../../lib/amqp/wire/publish-frames';
import { Receiver } from '../../lib/amqp/wire/receiver';
import { withoutBrokerHeaders } from '../../lib/broker-headers';
import { auto, decodeByType, packBody } from '../../lib/codec';
import { compressed } from '../../lib/compressed';
import { ArrivedMessage } from '../../lib/consumer/channel-delivery';
import { historyOf } from '../../lib/consumer/retry-history';
import { ChannelError, isError, isInstanceQueueError, nameOf, OptionsError } from '../../lib/errors';
import { plainTable, tableSize } from '../../lib/field-table';
import { NotEncodable } from '../../lib/not-encodable';
import { culprits } from '../../lib/producer/poison';
import type { Arguments, MessageProperties } from '../../lib/properties';
import { readReply } from '../../lib/rpc/reply';
import { isRabbitMq } from '../../lib/transport/broker-version';
import { parseEndpoint } from '../../lib/transport/endpoints';
import { channelRefused, connectionLost } from '../../lib/transport/link-errors';
import { readTable, readingConnection, writeDelivery, writeHead, writeTable } from './amqplib';
import type { Target } from './fuzzer';

const CHANNEL = 1;
/** The channel of a producer. */
const CONFIRMS = 2;
const TAG = 'tag';

/** A reader of inputs in parts: lengths and choices first, the rest as it is. */
class Parts {
  #at = 0;
  constructor(readonly data: Buffer) {}

  octet(): number {
    return this.data[this.#at++] ?? 0;
  }
  bytes(): Buffer {
    const length = this.octet();
    return this.data.subarray(this.#at, (this.#at += length));
  }
  /** At most 255 bytes in UTF-8. */
  text(): string {
    const text = this.bytes().subarray(0, 85).toString('utf8');
    return text;
  }
  rest(): Buffer {
    return this.data.subarray(this.#at);
  }
}

/** The outcome of a call, to compare. */
function outcomeOf<T>(call: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: call() };
  } catch (error) {
    return { error };
  }
}

// ── deliveries ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Event = readonly [kind: string, ...facts: unknown[]];

/** Puts the frames of one channel together, as amqplib's channels do. @throws Error where they close over what comes */
class Messages {
  readonly #events: Event[];
  #deliver: Event | undefined;
  #header: Event | undefined;
  #size = 0;
  #body: Buffer[] = [];

  constructor(events: Event[]) {
    this.#events = events;
  }

  /** Is a part of a message still to come? */
  get within(): boolean {
    return this.#deliver !== undefined;
  }

  other(event: Event): void {
    if (this.#deliver) throw new Error('Expected the rest of a message.');
    this.#events.push(event);
  }

  deliver(event: Event): void {
    if (this.#deliver) throw new Error('Expected the rest of a message.');
    this.#deliver = event;
  }

  header(size: number, properties: unknown): void {
    const event = ['header', size, properties] as const;
    if (!this.#deliver || this.#header) {
      this.other(event);
      return;
    }
    this.#header = event;
    this.#size = size;
    this.#endIfWhole();
  }

  body(content: Buffer): void {
    if (!this.#header) {
      this.other(['body', CHANNEL, content]);
      return;
    }
    this.#body.push(content);
    this.#size -= content.length;
    if (this.#size < 0) throw new Error('A body is longer than its header says.');
    this.#endIfWhole();
  }

  #endIfWhole(): void {
    if (this.#size > 0 || !this.#deliver || !this.#header) return;
    this.#events.push(this.#deliver, this.#header);
    if (this.#body.length > 0) this.#events.push(['body', CHANNEL, Buffer.concat(this.#body)]);
    this.#deliver = this.#header = undefined;
    this.#body = [];
  }
}

/** What amqplib makes of the bytes; ours are taken apart into what they came from. */
function eventsOf(data: Buffer, own: boolean): Event[] {
  const connection = readingConnection();
  const channel = { ch: CHANNEL, once: () => undefined };
  connection.channels[CHANNEL] = { channel };
  const model = { connection } as unknown as ChannelModel;
  guardFrames(model);
  const events: Event[] = [];
  const messages = new Messages(events);
  const confirming = {
    ch: CONFIRMS,
    once: () => undefined,
    emit: (event: 'ack' | 'nack', { deliveryTag, multiple }: Record<string, unknown>) =>
      events.push([event, deliveryTag, multiple]),
  };
  connection.channels[CONFIRMS] = { channel: confirming };
  if (own) {
    const receiver = Receiver.on(model);
    if (!receiver)
      throw new Error('The receiver does not know this connection: amqplib would be compared with itself.');
    receiver.registerConfirms(confirming as unknown as ConfirmChannel);
    receiver.register(channel as unknown as Channel, TAG, (message) => {
      if (!(message instanceof Arrival)) throw new Error('Expected an Arrival.');
      const { deliveryTag, redelivered, exchange, routingKey, content } = message;
      messages.deliver(['deliver', TAG, deliveryTag, redelivered, exchange, routingKey]);
      // Throws if the header is damaged.
      const { properties } = message;
      messages.header(content.length, properties);
      strictEqual(message.contentType, properties.contentType);
      strictEqual(message.contentEncoding, properties.contentEncoding);
      if (Object.keys(properties.headers ?? {}).length > 0) deepStrictEqual(message.headers, properties.headers);
      if (content.length > 0) messages.body(Buffer.from(content));
    });
  }
  connection.rest = data;
  try {
    for (let frame = connection.recvFrame(); frame !== false; frame = connection.recvFrame()) {
      const { id, channel: number, fields, size, content } = frame as Record<string, unknown>;
      if (number === CONFIRMS && (id === BASIC_ACK || id === BASIC_NACK)) {
        const { deliveryTag, multiple } = fields as Record<string, unknown>;
        events.push([id === BASIC_ACK ? 'ack' : 'nack', deliveryTag, multiple]);
      } else if (number !== CHANNEL) events.push(['frame', id, number, fields, size, content]);
      else if (Buffer.isBuffer(content)) messages.body(Buffer.from(content));
      else if (id === BASIC) messages.header(Number(size), fromAmqp(fields as Parameters<typeof fromAmqp>[0]));
      else if (id === BASIC_DELIVER) {
        const { consumerTag, deliveryTag, redelivered, exchange, routingKey } = fields as Record<string, unknown>;
        messages.deliver(['deliver', consumerTag, deliveryTag, redelivered, exchange, routingKey]);
      } else messages.other(['frame', id, number, fields, size]);
    }
    // A body that comes in several frames is taken as it comes.
    events.push(messages.within ? ['within'] : ['left', connection.rest.length]);
  } catch {
    // amqplib drops the connection, or closes the channel.
    events.push(['error']);
  }
  return events;
}
const BASIC = 60;
const BASIC_DELIVER = BASIC * 0x10000 + 60;
const BASIC_ACK = BASIC * 0x10000 + 80;
const BASIC_NACK = BASIC * 0x10000 + 120;

/** amqplib fails at a damaged header before it hands out the message; we do when somebody reads its properties. */
function deliveries(data: Buffer): void {
  const theirs = eventsOf(data, false);
  const ours = eventsOf(data, true);
  const before = theirs.slice(0, -1);
  const end = theirs.at(-1)?.[0];
  if (end === 'left') {
    deepStrictEqual(ours, theirs);
    return;
  }
  if (end === 'within') strictEqual(ours.length, theirs.length);
  deepStrictEqual(ours.slice(0, before.length), before);
}

// ── field tables ────────────────────────────────────────────────────────────────────────────────────────────────────

/** How deep tables and lists nest in a value as amqplib reads it, if that can be seen: a typed value is a table there, too. */
function depthOf(item: unknown): number {
  if (typeof item !== 'object' || item === null || Buffer.isBuffer(item)) return -1;
  if (!Array.isArray(item) && Object.hasOwn(item, '!')) return NaN;
  return Object.values(item).reduce<number>((deepest, member) => {
    const depth = 1 + depthOf(member);
    return Number.isNaN(depth) || depth > deepest ? depth : deepest;
  }, 0);
}

function tables(data: Buffer): void {
  const prefixed = Buffer.concat([Buffer.alloc(4), data]);
  prefixed.writeUInt32BE(data.length);
  const deep = nestsDeeper(DEEP, prefixed, 0);
  nestsDeeper(DEEP, data, data.length & 7);
  const read = outcomeOf(() => readTable(data));
  if (!('value' in read)) return;
  const depth = depthOf(read.value);
  // A key that comes twice hides the first value from amqplib, and `__proto__` hides its own.
  if (depth > DEEP && !deep) throw new Error(`nestsDeeper is false at a depth of ${String(depth)}.`);
  const { headers = {} } = fromAmqp({ headers: read.value } as Parameters<typeof fromAmqp>[0]);
  readHeaders(headers);
  const plain = outcomeOf(() => plainTable(withoutBrokerHeaders(headers)));
  if ('error' in plain) {
    if (!(plain.error instanceof NotEncodable)) throw plain.error;
    return;
  }
  const size = outcomeOf(() => tableSize(plain.value));
  if ('error' in size) {
    if (!(size.error instanceof NotEncodable)) throw size.error;
    return;
  }
  const theirs = outcomeOf(() => writeTable(plain.value));
  const ours = outcomeOf(() => {
    const to = Buffer.alloc(size.value);
    return to.subarray(0, writeFieldTable(to, 0, plain.value));
  });
  if ('value' in theirs) {
    strictEqual(theirs.value.length, size.value, 'tableSize');
    // What is not written here is left to amqplib.
    if ('value' in ours) deepStrictEqual(ours.value, theirs.value);
  } else if ('value' in ours) throw new Error('amqplib refuses a table that is written here.', { cause: theirs.error });
}
const DEEP = 5;

const NOTHING = Buffer.alloc(0);
function readHeaders(headers: Arguments): void {
  const message = {
    content: NOTHING,
    deliveryTag: 1,
    redelivered: false,
    exchange: '',
    routingKey: 'q',
    contentType: undefined,
    contentEncoding: undefined,
    headers,
    properties: { headers },
    unreadable: undefined,
  };
  const history = historyOf(headers, 'q');
  if (history && !(history.attempts >= 1)) throw new Error('A history without an attempt.');
  const { deliveryCount } = new ArrivedMessage(message, 'q', undefined);
  if (!(deliveryCount >= 0)) throw new Error(`A delivery count of ${String(deliveryCount)}.`);
  const reply = outcomeOf(() => readReply(message, auto, 'id'));
  if ('error' in reply && !isInstanceQueueError(reply.error)) throw reply.error;
}

// ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────────────

function publishing(data: Buffer): void {
  const parts = new Parts(data);
  const flags = parts.octet();
  const more = parts.octet();
  const some = (bit: number): string | undefined => ((more & bit) === 0 ? undefined : parts.text());
  const route = { exchange: parts.text(), routingKey: parts.text(), mandatory: (flags & 1) > 0 };
  const all = {
    correlationId: some(1),
    replyTo: some(2),
    type: some(4),
    userId: some(8),
    appId: some(16),
    contentEncoding: some(32),
    priority: (flags & 2) > 0 ? parts.octet() : undefined,
    timestamp: (flags & 4) > 0 ? new Date(parts.octet() * 1e9) : undefined,
  };
  const message = {
    ...route,
    persistent: (flags & 8) > 0,
    messageId: parts.text(),
    contentType: (flags & 16) > 0 ? parts.text() : undefined,
    content: Buffer.alloc(parts.octet()),
  };
  const expiration = (flags & 32) > 0 ? String(parts.octet()) : undefined;
  const table = outcomeOf(() => plainTable(fromAmqp({ headers: readTable(parts.rest()) } as never).headers ?? {}));
  const headers = 'value' in table && !('error' in outcomeOf(() => tableSize(table.value))) ? table.value : undefined;
  const properties = Object.fromEntries(
    Object.entries({ ...all, headers }).filter(([, value]) => value !== undefined),
  ) as MessageProperties;
  const framed: FramedMessage = { ...message, properties: Object.keys(properties).length > 0 ? properties : undefined };
  const theirs = outcomeOf(() => writeHead(CHANNEL, route, message.content.length, publishOptions(framed, expiration)));
  const to = Buffer.alloc(70_000);
  const ours = outcomeOf(() => {
    const method = publishFrame(CHANNEL, framed);
    method.copy(to);
    return to.subarray(0, writeHeaderFrame(to, method.length, CHANNEL, framed, expiration));
  });
  if (!('value' in ours)) return;
  if (!('value' in theirs)) throw new Error('amqplib refuses a message that is written here.', { cause: theirs.error });
  deepStrictEqual(ours.value, theirs.value);
  if (framed.properties !== undefined || expiration !== undefined) return;
  const end = new Templates(CHANNEL).for(framed).write(to, 0, message.messageId, message.content.length);
  deepStrictEqual(to.subarray(0, end), theirs.value, 'Templates');
}

// ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const TYPES = [
  undefined,
  'application/json',
  'application/problem+json; charset=utf-8',
  'text/plain',
  'text/plain; charset=iso-8859-1',
  'text/html; charset="US-ASCII"',
  'application/octet-stream',
];
const ENCODINGS = [undefined, '', 'identity', 'UTF8', 'gzip', 'x-gzip', 'br', 'deflate'];
const packed = compressed(auto, { above: 0, maxBytes: 100_000 });

function bodies(data: Buffer): void {
  const parts = new Parts(data);
  const [typed, encoded] = [parts.octet(), parts.octet()];
  const contentType = typed < 0x80 ? TYPES[typed % TYPES.length] : parts.text();
  const contentEncoding = encoded < 0x80 ? ENCODINGS[encoded % ENCODINGS.length] : parts.text();
  const content = parts.rest();
  const properties = {
    ...(contentType !== undefined && { contentType }),
    ...(contentEncoding !== undefined && { contentEncoding }),
  };
  const unpacked = outcomeOf(() => packed.decode(content, properties));
  if ('error' in unpacked && !isError(unpacked.error)) throw unpacked.error;
  const read = outcomeOf(() => decodeByType(content, contentType, contentEncoding));
  if ('error' in read) {
    // Errors of Node itself, which a test does not share.
    if (/^(SyntaxError|TypeError)$/.test(nameOf(read.error))) return;
    throw read.error;
  }
  // `send({ ...properties, body })` writes what was read, so that it is read as the same again.
  const again = outcomeOf(() => packBody(auto, read.value, properties));
  if ('error' in again) {
    // JSON nests as deep as it likes, and what JSON.parse takes may be too deep to write.
    throw again.error;
  }
  deepStrictEqual(decodeByType(again.value.content, contentType, contentEncoding), read.value);
}

// ── texts ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The text of a broker's close, and its version. */
function texts(data: Buffer): void {
  const parts = new Parts(data);
  const replyCode = 300 + parts.octet();
  const text = parts.text();
  const refusal = { replyCode, text } as Parameters<typeof channelRefused>[2];
  const error = channelRefused('Cannot open', undefined, refusal);
  if (!(error instanceof ChannelError) || error.replyCode !== replyCode) throw new Error('The reply code is lost.');
  connectionLost('host', undefined, refusal);
  const inFlight = [
    { exchange: parts.text(), userId: parts.text(), size: parts.octet() },
    { exchange: parts.text(), userId: undefined, size: parts.octet() },
  ];
  const found = culprits(inFlight, error);
  if (!found.every((one) => inFlight.includes(one))) throw new Error('A culprit that was not in flight.');
  isRabbitMq({ product: 'RabbitMQ', version: text }, '3.12');
}

/** URLs of brokers. */
function urls(data: Buffer): void {
  const url = data.toString('utf8');
  // Those would read files.
  if (/cacertfile|certfile|keyfile|%[0-9a-f]{2}/i.test(url.slice(Math.max(0, url.indexOf('?'))))) return;
  const read = outcomeOf(() => parseEndpoint(url));
  if ('error' in read) {
    if (!(read.error instanceof OptionsError)) throw read.error;
    const secret = /^[^:]*:\/\/[^:@]*:([^@/?#]{8,})@/.exec(url)?.[1];
    const once = secret !== undefined && url.split(secret).length === 2;
    if (once && read.error.message.includes(secret)) {
      // Unless the same sentence holds these characters anyway, such as in the name of a parameter.
      const other = outcomeOf(() => parseEndpoint(url.replace(secret, '*'.repeat(secret.length))));
      if (!('error' in other && other.error instanceof OptionsError && other.error.message.includes(secret)))
        throw new Error('The password is shown.');
    }
    return;
  }
  const { label, hostname, port, password, vhost } = read.value;
  if (!(port >= 0 && port <= 65_535) || hostname === '') throw new Error('An endpoint without a place.');
  strictEqual(label.endsWith(`:${String(port)}/${vhost === '/' ? '' : vhost}`), true);
  if (password.length >= 12 && !`${hostname}${vhost}`.includes(password) && label.includes(password))
    throw new Error('The label shows the password.');
}

/** The same delivery with its body, the last frame, cut behind `size` octets; a heartbeat comes in between. */
function inTwoFrames(delivery: Buffer, size: number): Buffer {
  const at = delivery.lastIndexOf(Buffer.of(3, 0, CHANNEL, 0, 0, 0));
  const body = delivery.subarray(at + 7, -1);
  const frame = (part: Buffer): Buffer =>
    Buffer.concat([Buffer.of(3, 0, CHANNEL, 0, 0, 0, part.length), part, Buffer.of(0xce)]);
  const heartbeat = Buffer.from('08000000000000ce', 'hex');
  return Buffer.concat([
    delivery.subarray(0, at),
    frame(body.subarray(0, size)),
    heartbeat,
    frame(body.subarray(size)),
  ]);
}

export const TARGETS: Readonly<Record<string, { readonly run: Target; readonly seeds: readonly Buffer[] }>> = {
  deliveries: {
    run: deliveries,
    seeds: [
      writeDelivery(
        CHANNEL,
        { consumerTag: TAG, deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'q' },
        { contentType: 'application/json', deliveryMode: 2, messageId: 'm', headers: { a: 1, l: [{ b: 'x' }] } },
        Buffer.from('{}'),
      ),
      writeDelivery(
        CHANNEL,
        { consumerTag: TAG, deliveryTag: 2 ** 40, redelivered: true, exchange: 'e', routingKey: 'k' },
        {},
        NOTHING,
      ),
      inTwoFrames(
        writeDelivery(
          CHANNEL,
          { consumerTag: TAG, deliveryTag: 3, redelivered: false, exchange: '', routingKey: 'q' },
          { contentType: 'text/plain' },
          Buffer.from('halves'),
        ),
        3,
      ),
      Buffer.from('010002' + '0000000d' + '003c0050' + '0000000000000007' + '01' + 'ce', 'hex'),
      Buffer.from('010002' + '0000000d' + '003c0078' + '0000000100000007' + '02' + 'ce', 'hex'),
    ],
  },
  tables: {
    run: tables,
    seeds: [
      { a: 1, b: 'text', c: [true, null, { d: 0.5 }], e: Buffer.from('x') },
      { 'x-death': [{ reason: 'rejected', count: 1, time: { '!': 'timestamp', value: 1 } }], 'x-delivery-count': 3 },
      { 'x-instance-queue-attempts': 2, 'x-instance-queue-queue': 'q', 'x-instance-queue-error-message': 'no' },
      { a: { '!': 'int8', value: 1 }, b: { '!': 'decimal', value: { places: 2, digits: 5 } }, c: 2 ** 40 },
    ].map((table) => Buffer.from(writeTable(table).subarray(4))),
  },
  publishing: { run: publishing, seeds: [Buffer.from([0xff, 0xff, 1, 0x65, 1, 0x6b, 1, 0x63]), NOTHING] },
  bodies: {
    run: bodies,
    seeds: ['\x01\x00{"a":[1,"x",null]}', '\x03\x00text', '\x80\x00\x05text/a', '\x01\x04x'].map((text) =>
      Buffer.from(text, 'latin1'),
    ),
  },
  texts: {
    run: texts,
    seeds: [
      "\x68\x30NOT_FOUND - no exchange 'x' in vhost '/'\x01x",
      '\x6a\x40PRECONDITION_FAILED - message size 20 is larger than configured\x00\x00\x14',
      "\x6a\x50user_id property set to 'a' but authenticated user was 'b'\x00\x01a",
    ].map((text) => Buffer.from(text, 'latin1')),
  },
  urls: {
    run: urls,
    seeds: [
      'amqp://user:hunter2hunter2@host:5672/vhost?heartbeat=5&frame_max=4096',
      'amqps://[::1]/%2f?auth_mechanism=external&verify=verify_none',
    ].map((text) => Buffer.from(text)),
  },
};
