/**
 * Consuming. This room attaches AMQP consumers and keeps them attached. It imports the transport port, `connection/` and
 * the layers below, and knows neither producers nor operators.
 *
 * A delivery: the link's `InboundChannel` → the listener that `AttachLoop` gave to `attach` →
 * `ConsumerChannel`, or `StreamChannel`, which counts it → `DeliveryDecoder` → the subscriber. Its settlement: `ChannelDelivery`
 * → `ConsumerChannel` → (acks: `AckBatching`) → `InboundChannel.settle`.
 */
import { Observable } from 'rxjs';
import type { Connection } from '../connection/connection';
import { resolveConsumeOptions, type ConsumeOptions } from './consume-options';
import type { NoAckConsumeOptions, ResolvedConsumeOptions } from './consume-options';
import { ConsumeSubscription } from './consume-subscription';
import type { Delivery, Message } from './delivery';

/**
 * Consumes one queue for as long as the returned Observable has a subscriber.
 *
 * Cold: each subscription is an AMQP consumer of its own, on a channel of its own; several compete for messages.
 * Emits: deliveries, decoded, each to be settled once (or plain messages with `noAck`). After a lost connection, a closed
 * channel or a cancel by the broker it declares and attaches again; messages that were unsettled then come again.
 * Completes: when the connection is closed, or after `until`, once everything handed out is settled (or the drain timeout
 * has passed).
 * Errors: ChannelError when the *first* attach meets a refusal that will not go away by itself (403, 406, a passive queue
 * that is missing, …) or `reopen.attempts` are spent; ConnectionError when the connection gave up or is already closed.
 * Unsubscribe: cancels at once; what was handed out can still be settled, until the drain timeout has passed.
 *
 * Subscribe with an `error` callback: without one, RxJS throws the error asynchronously, which ends the process.
 *
 * @throws OptionsError at once, if an option is invalid
 * @example
 * consume(connection, { queue: 'orders' }).pipe(handle(work)).subscribe({ error: console.error });
 */
export function consume<T = unknown>(connection: Connection, options: NoAckConsumeOptions<T>): Observable<Message<T>>;
export function consume<T = unknown>(connection: Connection, options: ConsumeOptions<T>): Observable<Delivery<T>>;
export function consume<T>(
  connection: Connection,
  options: ConsumeOptions<T> | NoAckConsumeOptions<T>,
): Observable<Message<T>> {
  return consuming(connection, resolveConsumeOptions(options));
}

/** `consume` with resolved options. Calls `starting` with each subscription before it attaches. */
export function consuming<T>(
  connection: Connection,
  options: ResolvedConsumeOptions<T>,
  starting?: (subscription: ConsumeSubscription<T>) => void,
): Observable<Delivery<T>> {
  return new Observable((subscriber) => {
    const { core } = connection;
    const subscription = new ConsumeSubscription(core, options, subscriber);
    starting?.(subscription);
    subscription.start();
    return () => {
      void subscription.close(core.drainTimeout);
    };
  });
}
