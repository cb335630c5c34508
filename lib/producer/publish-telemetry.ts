import { randomUUID } from 'node:crypto';
import { channel, tracingChannel } from 'node:diagnostics_channel';
import { isTraced, setOrigin } from '../diagnostics';
import { isObject } from '../options';
import type { Confirmation, PendingSend } from './pending-send';
import { givenId, type OutboundMessage } from './outbound-message';

/** Of one message, where it goes. */
interface Addressed {
  readonly messageId: string;
  /** '' is the default exchange, which takes the routing key for the name of a queue. */
  readonly exchange: string;
  readonly routingKey: string;
}
/** `instance-queue:publish`: a message was written to the wire. */
export interface PublishEvent extends Addressed {
  /** From 1; more: it is sent again. */
  readonly attempt: number;
  /** The connection it was written to. */
  readonly epoch: number;
}
/** `instance-queue:confirm`: the broker confirmed a message, in time. */
export interface ConfirmEvent extends Addressed, Confirmation {}

/**
 * The context of `tracing:instance-queue:publish:*`, one per `send`: `start` and `end` around the call, `asyncStart` and
 * `asyncEnd` when it settles, `error` before these if it rejects.
 */
export interface PublishTrace extends Addressed {
  /** What a subscriber of `start` writes in here is sent with the message. */
  readonly headers: Record<string, unknown>;
  /** From `asyncStart` on, if the broker confirmed it. */
  readonly result?: Confirmation;
  /** From `error` on: why the `send` rejected. */
  readonly error?: unknown;
}

const sends = tracingChannel<unknown, PublishTrace>('instance-queue:publish');
const publishes = channel('instance-queue:publish');
const confirms = channel('instance-queue:confirm');

/** Does anyone subscribe to traces of sends? */
export const areSendsTraced = (): boolean => isTraced(sends);

/** Traces one `send` over `connection` from its call to its settlement. */
export function tracedSend<T>(
  message: OutboundMessage<T>,
  connection: object,
  send: (message: OutboundMessage<T>) => Promise<Confirmation>,
): Promise<Confirmation> {
  // `send` refuses what is not a message, or has headers that are not an object.
  if (!isObject(message) || !isObject(message.headers ?? {})) return send(message);
  const { queue, exchange = '', routingKey = '' } = message;
  const headers: Record<string, unknown> = { ...message.headers };
  const messageId = givenId(message) ?? randomUUID();
  const trace: PublishTrace = { messageId, exchange, routingKey: queue ?? routingKey, headers };
  setOrigin(trace, connection);
  return sends.tracePromise(
    () => send({ ...message, messageId, ...(Object.keys(headers).length > 0 && { headers }) }),
    trace,
  );
}

/** A message was written. */
export function tellPublished({ message, attempts }: PendingSend, epoch: number): void {
  if (!publishes.hasSubscribers) return;
  const { messageId, exchange, routingKey } = message;
  const event: PublishEvent = { messageId, exchange, routingKey, attempt: attempts, epoch };
  publishes.publish(event);
}

/** A message was confirmed. */
export function tellConfirmed({ message }: PendingSend, confirmation: Confirmation): void {
  if (!confirms.hasSubscribers) return;
  const { exchange, routingKey } = message;
  const event: ConfirmEvent = { exchange, routingKey, ...confirmation };
  confirms.publish(event);
}
