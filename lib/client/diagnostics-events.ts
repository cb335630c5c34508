import type { ConnectionState } from '../connection/connection-state';
import type { ConsumerState } from '../consumer/consumer-state';
import type { DeliverEvent, DeliverTrace, SettleEvent } from '../consumer/channel-delivery';
import type { ProducerState } from '../producer/producer-state';
import type { ConfirmEvent, PublishEvent, PublishTrace } from '../producer/producer-events';

/** `instance-queue:state`: a connection, consumer or producer is in another state. */
export type StateEvent = {
  /** The name of the connection. */
  readonly connection: string | undefined;
} & (
  | { readonly of: 'connection'; readonly state: ConnectionState }
  | { readonly of: 'consumer'; readonly queue: string; readonly state: ConsumerState }
  | { readonly of: 'producer'; readonly state: ProducerState }
);

/**
 * The messages of the channels of `node:diagnostics_channel`, by the names of the channels. None is made for a channel without
 * subscribers. Those of `deliver` and `settle` hold the message, with its body.
 */
export interface DiagnosticsEvents {
  'instance-queue:publish': PublishEvent;
  'instance-queue:confirm': ConfirmEvent;
  'instance-queue:deliver': DeliverEvent;
  'instance-queue:settle': SettleEvent;
  'instance-queue:state': StateEvent;
}

/** The contexts of its tracing channels, by the names that `tracingChannel()` takes. */
export interface DiagnosticsTraces {
  'instance-queue:publish': PublishTrace;
  'instance-queue:deliver': DeliverTrace;
}
