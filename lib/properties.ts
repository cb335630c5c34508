import type { MessageProperties as AmqpProperties, Options } from 'amqplib';

/** A field table: headers, or the arguments of a queue, an exchange, a binding, a consumer. */
export type Arguments = Readonly<Record<string, unknown>>;

/**
 * Where a message goes: to one queue (through the default exchange), or to an exchange with a routing key.
 * Never both.
 */
export type Route =
  | { readonly queue: string; readonly exchange?: never; readonly routingKey?: never }
  | { readonly exchange: string; readonly routingKey?: string; readonly queue?: never };

/** AMQP's basic properties, in JavaScript's own types. */
export interface MessageProperties {
  /** Names the message; a resend carries the same. @default a random UUID when sending */
  readonly messageId?: string;
  readonly correlationId?: string;
  /** The queue an answer is wanted in. */
  readonly replyTo?: string;
  readonly type?: string;
  readonly appId?: string;
  /** Checked by RabbitMQ: must be the name of the connected user, if given. */
  readonly userId?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** Whole seconds on the wire: fractions are cut off. */
  readonly timestamp?: Date;
  /** ms after which the broker may drop it; the time a message waits before it is sent counts too. */
  readonly expiration?: number;
  /** 0 to 255; queues count as far as their `maxPriority`. */
  readonly priority?: number;
  readonly headers?: Arguments;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const whole = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** The wire has room for times that no Date holds. */
function dateOf(seconds: number): Date | undefined {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Deeper than this nothing of ours nests. */
const DEEPEST = 100;

/**
 * The value itself, or, where a sender named a key `__proto__` and amqplib made it the prototype of the table, a copy
 * without: what a table holds is what it says in its own keys.
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
const PLAIN = Object.prototype;

/** What tells how a body is to be read; all properties, which few ask for, take four times as long. */
export function encodingFromAmqp({ contentType, contentEncoding }: AmqpProperties): {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
} {
  return { contentType: text(contentType), contentEncoding: text(contentEncoding) };
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
