import { randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';
import { type Observable, Subject } from 'rxjs';
import { setOrigin, tracing } from '../diagnostics';
import type { PublishError } from '../errors';
import { isObject } from '../options';
import { isolated } from '../reactive/isolated';
import type { TypedEmitter } from '../reactive/typed-emitter';
import type { Confirmation, PendingSend } from './pending-send';
import { type ContractMessage, type OutboundMessage, wholeCopy } from './outbound-message';

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
  /** A queue did not take it: it is sent again. */
  readonly declined: (entry: PendingSend) => void;
}

/** Of producers of which someone wants to know it: there may be thousands a second. */
const declining = new WeakMap<object, Subject<PendingSend>>();

/** Hot. Emits: each message of this producer that a queue did not take, and that is sent again. Completes: never. Errors: never. */
export function declinedBy(producer: object): Observable<PendingSend> {
  let declined$ = declining.get(producer);
  if (!declined$) declining.set(producer, (declined$ = new Subject()));
  return declined$;
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
    declined: (entry) => {
      declining.get(emitter)?.next(entry);
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
  const trace: PublishTrace | undefined = traceableOf(message);
  const copy = trace && copyOf(message);
  // `send` refuses it, and says why.
  if (!trace || !copy) return send(message);
  const { headers, messageId } = trace;
  setOrigin(trace, connection);
  return sends.tracePromise(() => send({ ...copy, messageId, headers }), trace);
}

/**
 * What a trace says of a message; undefined, if that is no message, or one of its getters throws. Subscribers take it by its types, and
 * one that throws ends the process.
 */
function traceableOf(message: unknown): (Addressed & { readonly headers: Record<string, unknown> }) | undefined {
  try {
    if (!isObject(message)) return undefined;
    const { queue, exchange = '', routingKey = '', headers = {}, messageId = randomUUID() } = message;
    const to = { exchange: nameIn(exchange), routingKey: queue === undefined ? routingKey : nameIn(queue) };
    const address = { ...to, messageId };
    return isObject(headers) && isAddress(address) ? { ...address, headers: { ...headers } } : undefined;
  } catch {
    return undefined;
  }
}

/** A copy of a message. Undefined: one of its getters throws. */
function copyOf<M extends object>(message: M): M | undefined {
  try {
    return wholeCopy(message);
  } catch {
    return undefined;
  }
}

/** The name of a queue or exchange that is given as such or by its contract. */
const nameIn = (given: unknown): unknown => (isObject(given) ? given['name'] : given);
const isAddress = (given: Record<keyof Addressed, unknown>): given is Record<keyof Addressed, string> =>
  Object.values(given).every((part) => typeof part === 'string');

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
