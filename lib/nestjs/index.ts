/// <reference types="node" preserve="true" />
/**
 * A module for Nest: injection, methods that subscribe and respond, health, shutdown, and a transport for microservices.
 * @module instance-queue/nestjs
 */

export { InstanceQueueModule } from './instance-queue-module';
export type {
  InstanceQueueFactoryOptions,
  InstanceQueueModuleAsyncOptions,
  InstanceQueueModuleOptions,
  InstanceQueueModuleSettings,
} from './module-options';
export { getInstanceQueueToken, InjectInstanceQueue } from './tokens';
export { Respond, Subscribe } from './subscriptions';
export type { SubscribeHandling, SubscribeOptions } from './subscriptions';
export { InstanceQueueContext } from './context';
export { InstanceQueueHealthIndicator } from './health-indicator';
export type { HealthIndicatorOptions, InstanceQueueHealth } from './health-indicator';
export { nestLogger } from './nest-logger';
export { InstanceQueueClient } from './microservices/client';
export type { InstanceQueueClientOptions } from './microservices/client';
export { InstanceQueueServer } from './microservices/server';
export type { InstanceQueueServerOptions } from './microservices/server';
export type { TransportEvents, TransportOptions } from './microservices/transport-options';
