import type { MessageProperties as AmqpProperties, Options } from 'amqplib';
import type { Arguments, MessageProperties } from '../properties';
import type { WireMessage } from '../transport/transport';

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const whole = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** The wire has room for times that no Date can hold. */
function dateOf(seconds: number): Date | undefined {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** The library sends nothing that nests deeper, and reads nothing that does. */
const DEEPEST = 100;
const PLAIN = Object.prototype;

/**
 * A table whose members are its own. amqplib makes a key `__proto__` the prototype of the table it decodes; such a table
 * is copied without it, any other is returned as it is.
 */
function ownMembers(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || depth > DEEPEST) return value;
  if (Array.isArray(value)) {
    const items = value.map((item) => ownMembers(item, depth + 1));
    return items.some((item, i) => item !== value[i]) ? items : value;
  }
  let copy: Record<string, unknown> | undefined = Object.getPrototypeOf(value) === PLAIN ? undefined : { ...value };
  for (const [key, member] of Object.entries(value)) {
    const own = ownMembers(member, depth + 1);
    if (own !== member) (copy ??= { ...value })[key] = own;
  }
  return copy ?? value;
}

/** From the wire; absent properties are absent members. */
export function fromAmqp(amqp: AmqpProperties): MessageProperties {
  const expiration = text(amqp.expiration);
  const seconds = whole(amqp.timestamp);
  const all: { readonly [K in keyof MessageProperties]: MessageProperties[K] | undefined } = {
    messageId: text(amqp.messageId),
    correlationId: text(amqp.correlationId),
    replyTo: text(amqp.replyTo),
    type: text(amqp.type),
    appId: text(amqp.appId),
    userId: text(amqp.userId),
    contentType: text(amqp.contentType),
    contentEncoding: text(amqp.contentEncoding),
    timestamp: seconds === undefined ? undefined : dateOf(seconds),
    expiration: expiration !== undefined && /^\d+$/.test(expiration) ? Number(expiration) : undefined,
    priority: whole(amqp.priority),
    headers: amqp.headers && (ownMembers(amqp.headers, 0) as Arguments),
  };
  const present: Record<string, unknown> = {};
  for (const name in all) {
    const value = all[name as keyof MessageProperties];
    if (value !== undefined) present[name] = value;
  }
  return present;
}

/** To the wire. */
export function toAmqp(
  properties: MessageProperties & { readonly persistent: boolean; readonly mandatory: boolean },
): Options.Publish {
  const { timestamp, expiration, headers, ...rest } = properties;
  return {
    ...rest,
    ...(timestamp && { timestamp: Math.floor(timestamp.getTime() / 1000) }),
    ...(expiration !== undefined && { expiration: String(Math.floor(expiration)) }),
    ...(headers && { headers }),
  };
}

/** All of a message but its route and body, as amqplib takes it. `expiration`: ms left, if that is less than the message says. */
export function publishOptions(message: Omit<WireMessage, 'propertiesFrame'>, expiration?: string): Options.Publish {
  const { properties, contentType, messageId, persistent, mandatory } = message;
  const options: Options.Publish = properties
    ? toAmqp({ ...properties, ...(contentType !== undefined && { contentType }), messageId, persistent, mandatory })
    : contentType === undefined
      ? { messageId, persistent, mandatory }
      : { contentType, messageId, persistent, mandatory };
  return expiration === undefined ? options : { ...options, expiration };
}
