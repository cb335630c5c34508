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
  /** From 1970 on. Whole seconds on the wire: fractions are cut off. */
  readonly timestamp?: Date;
  /**
   * ms, counted from the `send`, after which the message is dropped: by the library while it waits to be sent
   * (PUBLISH_TIMEOUT), by the broker while it waits in a queue. 0: the broker drops it unless a consumer takes it at once; the
   * time before it is sent does not count. With `delay` or `at` it counts from the end of the delay, and the broker does
   * not enforce it: the consumer has to check it. Read from a message it is what was left when it was sent.
   */
  readonly expiration?: number;
  /**
   * 0 to 255. Classic queues count as far as their `maxPriority`, none and 0 are the same. Quorum queues: since RabbitMQ 4.3 up to
   * 31, where none is 4; since 4.0 only whether it is above 4.
   */
  readonly priority?: number;
  /**
   * Strings, booleans, finite numbers, null, bytes, dates, and lists and plain objects of these. A Date is sent as an AMQP
   * timestamp, in whole seconds from 1970 on, and is read back as `{ '!': 'timestamp', value: seconds }`; a typed array or an
   * ArrayBuffer is sent as its bytes, and read back as a Buffer. `{ '!': type, value }` names the type of a value.
   *
   * Those that only brokers may write (`x-death`, `x-first-death-*`, `x-last-death-*`, `x-delivery-count`, `x-acquired-count`,
   * `x-stream-offset`, `x-received-from`) are received, and left out of what is sent.
   */
  readonly headers?: Arguments;
}

/** Quorum queues take higher ones for this one. */
const HIGHEST_PRIORITY = 31;

/**
 * For the names of quorum queues in which messages wait to expire. Each priority needs a queue of its own, 0 too: RabbitMQ ≥ 4.0
 * puts those of a high one in front, and it only ever expires the first.
 */
export const prioritySuffix = (priority: number | undefined): string =>
  priority === undefined ? '' : `.p${String(Math.min(priority, HIGHEST_PRIORITY))}`;
