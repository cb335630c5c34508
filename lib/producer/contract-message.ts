import type {
  AnyExchangeContract,
  AnyQueueContract,
  BodyFor,
  ExchangeOf,
  Messages,
  QueueContract,
  RoutingKey,
} from '../contract-codecs';
import type { DelayOptions } from '../delay/delayed';
import type { MessageProperties, Route } from '../properties';

/** A message to send: its route, body and properties. */
export type OutboundMessage<T = unknown> = Route &
  Partial<MessageProperties> &
  DelayOptions & {
    readonly body: T;
    /** Survives a restart of the broker, in a durable queue. @default true */
    readonly persistent?: boolean;
    /**
     * Rejects (PUBLISH_RETURNED) if no queue takes it. Does not apply by default to an exchange that the topology declares with
     * the type `x-delayed-message`, which returns every mandatory message at once. @default true
     */
    readonly mandatory?: boolean;
    /** In a stream: the value that consumers with a `filter` select by. Sent as the header `x-stream-filter-value`. */
    readonly streamFilter?: string;
  };

/** What every message may say beside its route and body. */
type Extras = Partial<MessageProperties> &
  DelayOptions &
  Pick<OutboundMessage, 'persistent' | 'mandatory' | 'streamFilter'>;

/** A message to the queue of a contract. */
export type QueueMessage<In, Reply = unknown> = Extras & {
  readonly queue: QueueContract<In, unknown, Reply, never>;
  readonly exchange?: never;
  readonly routingKey?: never;
  readonly body: NoInfer<In>;
};

/** A message to the exchange of a contract, which says what body goes with which routing key. */
export type ExchangeMessage<M extends Messages, K extends string> = Extras & {
  readonly exchange: ExchangeOf<M>;
  readonly queue?: never;
  readonly body: NoInfer<BodyFor<M, K>>;
} & ('' extends K ? { readonly routingKey?: K } : { readonly routingKey: K });

/** A message to a contract, with its types left open. */
export type ContractMessage<T = unknown, K extends string = string> = Extras & { readonly body: T } & (
    | { readonly queue: AnyQueueContract; readonly exchange?: never; readonly routingKey?: never }
    | { readonly exchange: AnyExchangeContract; readonly routingKey?: K; readonly queue?: never }
  );

/** A message to a contract, or any other. */
export type AnyMessage<T> = OutboundMessage<T> | ContractMessage;

/** The message as its own type allows it: for messages that come as a stream, each to its own contract. */
export type Checked<M> = M extends { readonly queue: QueueContract<infer In, unknown, unknown, never> }
  ? QueueMessage<In>
  : M extends { readonly exchange: ExchangeOf<infer Ms> }
    ? M extends { readonly routingKey: infer K extends RoutingKey<Ms> }
      ? ExchangeMessage<Ms, K>
      : ExchangeMessage<Ms, RoutingKey<Ms>>
    : OutboundMessage;
