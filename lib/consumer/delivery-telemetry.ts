import { channel, tracingChannel } from 'node:diagnostics_channel';
import { isTraced, setOrigin } from '../diagnostics';
import type { Message, Settlement } from './delivery';

/** `instance-queue:deliver`: a message is emitted. */
export interface DeliverEvent {
  readonly message: Message<unknown>;
  /** The consumer tag. */
  readonly tag: string;
  /** The number of the connection it came on. */
  readonly epoch: number;
}
/** `instance-queue:settle`: a delivery was settled, or its channel ended first. */
export interface SettleEvent {
  readonly message: Message<unknown>;
  readonly settlement: Settlement | 'lost';
}
/**
 * The context of `tracing:instance-queue:deliver:*`, one per delivery: `start` and `end` around its emission, `asyncStart`
 * and `asyncEnd` when it is settled or lost (inside that emission, if its work is done at once). With `noAck` nothing is
 * settled, and nothing traced.
 */
export interface DeliverTrace extends DeliverEvent {
  /** From `asyncStart` on. */
  settlement?: Settlement | 'lost';
}

const traces = tracingChannel<unknown, DeliverTrace>('instance-queue:deliver');
const deliveries = channel('instance-queue:deliver');
const settlements = channel('instance-queue:settle');
const open = new WeakMap<Message<unknown>, DeliverTrace>();

/** Does a diagnostics channel of deliveries have subscribers? */
export const areDeliveriesWatched = (): boolean => deliveries.hasSubscribers || isTraced(traces);

/** Publishes that a message of `connection` is about to be emitted. */
export function tellDelivered({ message, tag, epoch }: DeliverEvent, connection: object): void {
  if (!deliveries.hasSubscribers) return;
  const event: DeliverEvent = { message, tag, epoch };
  setOrigin(event, connection);
  deliveries.publish(event);
}

/** Emits a delivery of `connection` within its trace. */
export function traceDelivery({ message, tag, epoch }: DeliverEvent, connection: object, emit: () => void): void {
  tellDelivered({ message, tag, epoch }, connection);
  if (!isTraced(traces)) {
    emit();
    return;
  }
  const trace: DeliverTrace = { message, tag, epoch };
  setOrigin(trace, connection);
  open.set(message, trace);
  traces.start.runStores(trace, emit);
  traces.end.publish(trace);
}

/** Publishes that a delivery was settled or lost, and ends its trace. */
export function tellSettled(message: Message<unknown>, settlement: Settlement | 'lost'): void {
  if (settlements.hasSubscribers) settlements.publish({ message, settlement });
  if (!isTraced(traces)) return;
  const trace = open.get(message);
  // It was emitted before there was a subscriber.
  if (!trace) return;
  trace.settlement = settlement;
  traces.asyncStart.publish(trace);
  traces.asyncEnd.publish(trace);
}
