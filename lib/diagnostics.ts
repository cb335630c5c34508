import { channel, tracingChannel, type TracingChannel } from 'node:diagnostics_channel';

// What all channels of node:diagnostics_channel share. Deliveries are published in consumer/channel-delivery.ts, messages in
// producer/producer-events.ts; client/diagnostics-events.ts lists them all.

const states = channel('instance-queue:state');

const origins = new WeakMap<object, object>();

/** Remembers which connection an event is of. Its channel is shared by all connections of the process. */
export function setOrigin(event: object, connection: object): void {
  origins.set(event, connection);
}
/** The connection that an event is of. */
export const originOf = (event: object): object | undefined => origins.get(event);

/** A tracing channel whose `hasSubscribers` says whether any of its steps has a subscriber, as Node's own does since 20.13. */
export function tracing<Context extends object>(name: string): TracingChannel<unknown, Context> {
  const traces = tracingChannel<unknown, Context>(name);
  const { start, end, asyncStart, asyncEnd, error } = traces;
  const steps = [start, end, asyncStart, asyncEnd, error];
  if (!('hasSubscribers' in traces))
    Object.defineProperty(traces, 'hasSubscribers', { get: () => steps.some((step) => step.hasSubscribers) });
  return traces;
}

/** Publishes a new state on `instance-queue:state`. Does nothing without subscribers. */
export function tellState(event: {
  readonly of: 'connection' | 'consumer' | 'producer';
  /** The connection's name. */
  readonly connection: string | undefined;
  /** Of a consumer: the queue it was asked for. */
  readonly queue?: string;
  readonly state: { readonly status: string };
}): void {
  if (states.hasSubscribers) states.publish(event);
}
