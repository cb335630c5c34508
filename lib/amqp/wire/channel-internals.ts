import type { ConfirmChannel } from 'amqplib';
import type { Writable } from 'node:stream';
import { isObject } from './is-object';

/** The internals of an amqplib confirm channel that are used here, below its documented surface. */
export interface WritableChannel {
  readonly number: number;
  /** The largest frame, bytes. */
  readonly frameMax: number;
  /** Writes to the socket after everything that amqplib has written; undefined when the channel is closing or closed. */
  readonly buffer: Writable | undefined;
  /** Counts a published message in amqplib too, so that its own publishes get the right numbers. */
  readonly count: () => void;
  /** Marks bytes as sent, so that amqplib skips a heartbeat. */
  readonly wrote: () => void;
}

const isFunction = (value: unknown): value is (...args: unknown[]) => unknown => typeof value === 'function';
const isWritable = (value: unknown): value is Writable =>
  isObject(value) && isFunction(Reflect.get(value, 'write')) && Reflect.get(value, 'writableObjectMode') === true;

/** The internals of this channel; undefined if anything differs from the known amqplib. */
export function writableChannel(channel: ConfirmChannel): WritableChannel | undefined {
  const number: unknown = Reflect.get(channel, 'ch');
  const connection: unknown = Reflect.get(channel, 'connection');
  if (typeof number !== 'number' || !isObject(connection)) return undefined;
  const frameMax: unknown = Reflect.get(connection, 'frameMax');
  const push: unknown = Reflect.get(channel, 'pushConfirmCallback');
  const known =
    typeof frameMax === 'number' &&
    frameMax >= 4096 &&
    isFunction(push) &&
    Array.isArray(Reflect.get(channel, 'unconfirmed')) &&
    typeof Reflect.get(connection, 'sentSinceLastCheck') === 'boolean' &&
    isFunction(Reflect.get(channel, 'sendMessage')) &&
    isFunction(Reflect.get(connection, 'sendMessage'));
  // Instrumentation that wraps amqplib's publish (marked by shimmer) must see each message.
  const watched = [
    Reflect.get(channel, 'publish'),
    Reflect.get(channel, 'sendMessage'),
    Reflect.get(connection, 'sendMessage'),
  ].some((method) => isFunction(method) && Reflect.get(method, '__wrapped') === true);
  if (!known || watched) return undefined;

  const bufferOf = (): Writable | undefined => {
    // While closing, amqplib replaces its methods with ones that throw.
    if (Object.hasOwn(channel, 'sendMessage') || Object.hasOwn(connection, 'sendMessage')) return undefined;
    const channels: unknown = Reflect.get(connection, 'channels');
    const record: unknown = Array.isArray(channels) ? channels[number] : undefined;
    if (!isObject(record) || Reflect.get(record, 'channel') !== channel) return undefined;
    const buffer: unknown = Reflect.get(record, 'buffer');
    return isWritable(buffer) ? buffer : undefined;
  };
  if (!bufferOf()) return undefined;
  return {
    number,
    frameMax,
    get buffer() {
      return bufferOf();
    },
    count: () => {
      Reflect.apply(push, channel, []);
    },
    wrote: () => {
      Reflect.set(connection, 'sentSinceLastCheck', true);
    },
  };
}
