import type { ConfirmChannel } from 'amqplib';
import { isObject } from './members';
import { publishFrame, writeBodyHeader, writeFrameEnd, writeHeaderFrame, type FramedMessage } from './publish-frames';

const SAMPLE: FramedMessage = {
  exchange: 'an exchange',
  routingKey: 'clé',
  mandatory: true,
  persistent: true,
  messageId: '0b5bd2ff-0d2f-4f0b-9c43-0e8c1b6a7d11',
  contentType: 'application/json',
  properties: { headers: { count: 1, text: 'tëxt', none: null }, priority: 3, appId: 'self-test' },
  content: Buffer.from('{"a":1}'),
};
const EXPIRATION = '1000';
const CHANNEL = 513;

const verdicts = new WeakMap<object, boolean>();

/**
 * Does this amqplib write a message as we do, byte by byte? It is let do so on shadows of the channel and its connection,
 * once per version of it in this process: nothing is sent, nothing of it is changed.
 */
export function encodesAsKnown(channel: ConfirmChannel): boolean {
  const publish: unknown = Reflect.get(channel, 'publish');
  if (typeof publish !== 'function') return false;
  let verdict = verdicts.get(publish);
  if (verdict === undefined) verdicts.set(publish, (verdict = writesTheSame(channel, publish)));
  return verdict;
}

function writesTheSame(channel: ConfirmChannel, publish: CallableFunction): boolean {
  const written: unknown[] = [];
  const buffer = { write: (bytes: unknown) => written.push(bytes) > 0 };
  const connection: unknown = Reflect.get(channel, 'connection');
  if (!isObject(connection)) return false;
  const shadow = (of: object, members: Record<string, unknown>): object =>
    Object.create(
      of,
      Object.fromEntries(Object.entries(members).map(([name, value]) => [name, { value, writable: true }])),
    ) as object;
  const channels: unknown[] = [];
  channels[CHANNEL] = { buffer };
  const sink = shadow(connection, { channels, sentSinceLastCheck: false });
  const probe = shadow(channel, { connection: sink, ch: CHANNEL, pushConfirmCallback: () => undefined });
  const { exchange, routingKey, content, properties, ...rest } = SAMPLE;
  const options = { ...rest, ...properties, expiration: EXPIRATION };
  try {
    Reflect.apply(publish, probe, [exchange, routingKey, content, options]);
  } catch {
    return false;
  }
  const theirs = written.every((bytes) => Buffer.isBuffer(bytes)) ? Buffer.concat(written) : undefined;
  return theirs?.equals(encoded(SAMPLE)) === true;
}

/** One message as a whole. */
function encoded(message: FramedMessage): Buffer {
  const bytes = Buffer.alloc(1024);
  const method = publishFrame(CHANNEL, message);
  method.copy(bytes);
  const headed = writeHeaderFrame(bytes, method.length, CHANNEL, message, EXPIRATION);
  const bodyAt = writeBodyHeader(bytes, headed, CHANNEL, message.content.length);
  const end = writeFrameEnd(bytes, bodyAt + message.content.copy(bytes, bodyAt));
  return bytes.subarray(0, end);
}
