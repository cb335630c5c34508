import type { ConnectionCore } from '../connection/connection-core';
import type { Arguments } from '../properties';
import type { QueueSpec } from '../topology';
import { queueArguments } from '../topology-arguments';

/**
 * Warns of requeues that end: since RabbitMQ 4.0 a quorum queue drops (or dead-letters) a message that failed 20 times,
 * unless its `deliveryLimit` or a policy says otherwise. A message that is requeued again is on its way there, and a consumer
 * that only ever requeues loses it. https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
 */
export class DeliveryLimit {
  readonly #core: Pick<ConnectionCore, 'warnOnce'>;
  readonly #queue: string;
  /** Undefined: the queue has a limit of its own, or the broker gives it none. */
  readonly #limit: number | undefined;
  /** Failures before the first warning. */
  readonly #patience: number;

  /** `limit`: of the broker, for quorum queues without one of their own. */
  constructor(
    core: Pick<ConnectionCore, 'warnOnce'>,
    queue: string,
    spec: QueueSpec | undefined,
    limit: number | undefined,
  ) {
    this.#core = core;
    this.#queue = queue;
    const args = spec ? queueArguments(spec).arguments : {};
    this.#limit = args['x-delivery-limit'] === undefined ? limit : undefined;
    // Requeueing is how messages are retried there, and `retry` ends it in time.
    this.#patience = args['x-delayed-retry-type'] === undefined ? 0 : (limit ?? 0);
  }

  /** A message with these headers is requeued. Quorum queues alone count, and only from the second delivery on. */
  requeued(headers: Arguments | undefined): void {
    const failures = headers?.[DELIVERY_COUNT];
    if (this.#limit === undefined || failures === undefined || Number(failures) < this.#patience) return;
    this.#core.warnOnce(
      `delivery-limit ${this.#queue}`,
      { queue: this.#queue, deliveryLimit: this.#limit },
      'requeued again: the broker drops or dead-letters a message at the delivery limit of its quorum queue; set `deliveryLimit`, or end with a reject',
    );
  }
}

/** https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling */
export const DELIVERY_COUNT = 'x-delivery-count';
