import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { InstanceQueue } from '../client/instance-queue';
import { readiness, type ReadinessOptions } from '../health/probes';
import type { Reason } from '../health/reasons';
import { getInstanceQueueToken } from './tokens';

/** Which InstanceQueue, and from which health on it is ready. */
export interface HealthIndicatorOptions extends ReadinessOptions {
  /** The name of the InstanceQueue. @default the one without a name */
  readonly connection?: string;
}

/** What `@nestjs/terminus` reports under the key. */
export interface InstanceQueueHealth {
  readonly status: 'up' | 'down';
  /** Of the InstanceQueue. */
  readonly health: 'up' | 'degraded' | 'down';
  readonly reasons: readonly Reason[];
}

/**
 * A health indicator for `@nestjs/terminus` (from version 11 on). The module provides it.
 *
 * @example
 * class HealthController {
 *   @Get()
 *   @HealthCheck()
 *   check() {
 *     return this.health.check([() => this.rabbitmq.isHealthy('rabbitmq')]);
 *   }
 * }
 */
export class InstanceQueueHealthIndicator {
  readonly #moduleRef: ModuleRef;

  constructor(moduleRef: ModuleRef) {
    this.#moduleRef = moduleRef;
  }

  /** `up` while the InstanceQueue is ready, as the readiness probe of `instance-queue/health` has it. */
  isHealthy<Key extends string>(
    key: Key,
    { connection, ...options }: HealthIndicatorOptions = {},
  ): Record<Key, InstanceQueueHealth> {
    const queue = this.#moduleRef.get<InstanceQueue>(getInstanceQueueToken(connection), { strict: false });
    const { statusCode, body } = readiness(queue, options);
    const { status: health, reasons } = body;
    return { [key]: { status: statusCode === 200 ? 'up' : 'down', health, reasons } } as Record<
      Key,
      InstanceQueueHealth
    >;
  }
}

// The decorators of the class, in plain calls: the library compiles without them.
Injectable()(InstanceQueueHealthIndicator);
Inject(ModuleRef)(InstanceQueueHealthIndicator, undefined, 0);
