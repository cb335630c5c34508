/// <reference types="node" preserve="true" />
/**
 * RabbitMQ as streams: `InstanceQueue` is the way in.
 * @module instance-queue
 */

// The front door
export { InstanceQueue } from './client/instance-queue';
export type { DiagnosticsEvents, DiagnosticsTraces, StateEvent } from './client/diagnostics-events';
export type { Metrics } from './client/metrics';
export type { InstanceQueueOptions } from './client/instance-queue-options';
export type { InstanceQueueEvents, Role } from './client/connection-pair';
export type { ConsumerHealth, Health, InstanceQueueState } from './health/health';
export type { Stall } from './health/stall';

// Connection
export type { Admin, DeleteTarget, GetOptions } from './client/admin';
export type { QueueDepth } from './transport/transport';
export { Connection } from './connection/connection';
export type { ConnectionEvents } from './connection/connection';
export type { ConnectionOptions } from './connection/connection-options';
export type { BackoffOptions } from './connection/backoff';
export type { CloseOptions, CloseReport } from './connection/member';
export type { Endpoints, EndpointSource } from './transport/endpoints';
export type { EventsOf } from './reactive/state-subject';
export type { ConnectionState, Expiring } from './connection/connection-state';
export type { Credentials } from './connection/credentials';
export { iterate } from './reactive/iterate';
export type { TypedEmitter } from './reactive/typed-emitter';

// Consuming
export { batch } from './operators/batch';
export { consume } from './consumer/consume';
export { Consumer } from './consumer/consumer';
export { handle } from './operators/handle';
export type { ConsumeOptions, NoAckConsumeOptions } from './consumer/consume-options';
export type { ConsumerEvents } from './consumer/consumer';
export type { DeliverEvent, DeliverTrace, SettleEvent } from './consumer/channel-delivery';
export type { ConsumerState } from './consumer/consumer-state';
export type { Delivery, Message, Settlement } from './consumer/delivery';
export type { Batch, BatchOptions } from './operators/batch';
export type { WaitIn } from './retry/wait-queues';
export type { StreamStart } from './consumer/stream/stream-start';
export type { StreamFilter } from './consumer/stream/stream-filter';
export type { RetryOptions, RetryPolicy } from './retry/retry';
export type { ErrorPolicy } from './operators/error-policy';
export type { HandleOptions, Handled, Work, Worker } from './operators/handle-options';

// Producing
export { Producer } from './producer/producer';
export { publish } from './producer/publish';
export { SendAllError } from './producer/send-all';
export type { Confirmation } from './producer/pending-send';
export type { ContractMessage, ExchangeMessage, OutboundMessage, QueueMessage } from './producer/outbound-message';
export type { OutboxState } from './producer/producer-state';
export type { ProducerEvents } from './producer/producer-events';
export type { ProducerState } from './producer/producer-state';
export type { OutboxOptions, ProducerOptions, SendOptions } from './producer/producer-options';
export type { ConfirmEvent, PublishEvent, PublishTrace } from './producer/producer-events';
export type { MessageIterable, PublishOptions } from './producer/publish';

// Order per key over several processes
export { Partitioned } from './partitioned/partitioned';
export { partitionOf } from './partitioned/partition-of';
export type { KeyedMessage } from './partitioned/keyed-message';
export type { PartitionConsumeOptions } from './partitioned/partition-consumers';
export type { PartitionedDelivery } from './partitioned/partitioned';
export type { PartitionedOptions } from './partitioned/partitioned-options';
export type { PartitionQueueOptions } from './partitioned/partition-topology';

// Asking and answering
export type { RequestOptions } from './rpc/requester';

// Shared vocabulary
export { auto, bytes, json, text } from './codec';
export { compressed } from './compressed';
export { defineExchange, defineQueue } from './contract';
export type { Binary } from './codec';
export type { Codec, Packed } from './codec';
export type { CompressedOptions } from './compressed';
export type { ExchangeContract, MessageBinding, Messages, QueueContract } from './contract-codecs';
export type { FieldsLogger, LogEntry, LoggerOption, MessageLogger } from './log';
export type { Arguments, MessageProperties, Route } from './properties';
export type { Interval, IntervalUnit } from './interval';
export type { BindingSpec, DelayedRetry, ExchangeSpec, QueueSpec, Topology } from './topology';
export type { SchemaInput, SchemaIssue, SchemaOutput, SchemaResult, StandardSchemaV1 } from './schema';

// Errors
export { ChannelError, ConnectionError, ConsumerError, InstanceQueueError, OptionsError, PublishError } from './errors';
export type { ConnectionErrorCode, ConsumerErrorCode, ErrorCode, ErrorDetails, PublishErrorCode } from './errors';
