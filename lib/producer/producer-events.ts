import { randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { setOrigin, tracing } from '../diagnostics';
import type { PublishError } from '../errors';
import { isObject } from '../options';
import { isolated } from '../reactive/isolated';
import type { TypedEmitter } from '../reactive/typed-emitter';
import type { Confirmation, PendingSend } from './pending-send';
import { givenId, type OutboundMessage, type ContractMessage } from './outbound-message';

/** Outcomes of messages. `dropped`: by overflow or expiry; its `send` rejected too. */
export interface ProducerEvents {
  confirmed: [confirmation: Confirmation];
  resent: [messageId: string, attempt: number];
  returned: [cause: PublishError];
  dropped: [cause: PublishError];
}

/** Receives the outcomes of messages in flight. */
export interface PumpEvents {
  readonly confirmed: (confirmation: Confirmation) => void;
  readonly resent: (messageId: string, attempt: number) => void;
  readonly returned: (cause: PublishError) => void;
  readonly dropped: (cause: PublishError) => void;
}

/** Emits the events. A listener that throws does not affect the others. */
export function emitting(emitter: TypedEmitter<ProducerEvents>): PumpEvents {
  return {
    confirmed: (confirmation) => {
      // The only event per message: skipped without listeners.
      if (emitter.listenerCount('confirmed') > 0) isolated(() => emitter.emit('confirmed', confirmation));
    },
    resent: (messageId, attempt) => {
      isolated(() => emitter.emit('resent', messageId, attempt));
    },
    returned: (cause) => {
      isolated(() => emitter.emit('returned', cause));
    },
    dropped: (cause) => {
      isolated(() => emitter.emit('dropped', cause));
    },
  };
}

/** The route of a message. */
interface Addressed {
  readonly messageId: string;
  /** '' is the default exchange, which routes to the queue named by the routing key. */
  readonly exchange: string;
  readonly routingKey: string;
}
/** `instance-queue:publish`: a message was written to the wire. */
export interface PublishEvent extends Addressed {
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The epoch of the connection it was written to. */
  readonly epoch: number;
}
/** `instance-queue:confirm`: the broker confirmed a message, in time. */
export interface ConfirmEvent extends Addressed, Confirmation {}

/**
 * The context of `tracing:instance-queue:publish:*`, one per `send`: `start` and `end` around the call, `asyncStart` and
 * `asyncEnd` when it settles, `error` before these if it rejects.
 */
export interface PublishTrace extends Addressed {
  /** Headers that a subscriber of `start` adds here are sent with the message. */
  readonly headers: Record<string, unknown>;
  /** Set from `asyncStart` on, if the broker confirmed the message. */
  readonly result?: Confirmation;
  /** Set from `error` on: the reason of the rejection. */
  readonly error?: unknown;
}

const sends = tracing<PublishTrace>('instance-queue:publish');
const publishes = channel('instance-queue:publish');
const confirms = channel('instance-queue:confirm');

/** Does anyone subscribe to traces of sends? */
export const areSendsTraced = (): boolean => sends.hasSubscribers;

/** Traces one `send` over `connection` from its call to its settlement. */
export function tracedSend<M extends OutboundMessage | ContractMessage>(
  message: M,
  connection: object,
  send: (message: M) => Promise<Confirmation>,
): Promise<Confirmation> {
  // `send` refuses anything else than a message, and headers that are no object.
  if (!isObject(message) || !isObject(message.headers ?? {})) return send(message);
  const { queue, exchange = '', routingKey = '' } = message;
  const [queueName, exchangeName] = [queue, exchange].map((named) => (typeof named === 'object' ? named.name : named));
  const headers: Record<string, unknown> = { ...message.headers };
  const messageId = givenId(message) ?? randomUUID();
  const trace: PublishTrace = {
    messageId,
    exchange: exchangeName ?? '',
    routingKey: queueName ?? routingKey,
    headers,
  };
  setOrigin(trace, connection);
  return sends.tracePromise(
    () => send({ ...message, messageId, ...(Object.keys(headers).length > 0 && { headers }) }),
    trace,
  );
}

/** A message was written. */
export function tellPublished({ message, attempts }: PendingSend, epoch: number): void {
  if (!publishes.hasSubscribers) return;
  const { messageId, sentTo: exchange, routingKey } = message;
  const event: PublishEvent = { messageId, exchange, routingKey, attempt: attempts, epoch };
  publishes.publish(event);
}

/** A message was confirmed. */
export function tellConfirmed({ message }: PendingSend, confirmation: Confirmation): void {
  if (!confirms.hasSubscribers) return;
  const { sentTo: exchange, routingKey } = message;
  const event: ConfirmEvent = { exchange, routingKey, ...confirmation };
  confirms.publish(event);
}
