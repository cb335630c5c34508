import { queueTypeOf, type QueueSpec } from '../topology';
import { queueArguments } from '../topology-arguments';
import { isRabbitMq } from '../transport/broker-version';
import type { Link } from '../transport/transport';

/**
 * How long a requeued message waits in its own queue: `min` ms after the first failure, twice that after the second, and so
 * on, up to `max`; and how many failures the queue lets it have. https://www.rabbitmq.com/docs/quorum-queues
 */
export class QueueDelays {
  constructor(
    readonly min: number,
    readonly max: number,
    /** Infinity: none. */
    readonly deliveryLimit: number,
  ) {}

  /** What the spec of a queue says about it. Undefined: requeued messages do not wait in the queue, or it is unknown. */
  static of(spec: QueueSpec | undefined, { broker, quorumDeliveryLimit }: Link): QueueDelays | undefined {
    if (!spec || queueTypeOf(spec) !== 'quorum' || !isRabbitMq(broker, '4.3')) return undefined;
    const args = queueArguments(spec).arguments;
    const { 'x-delayed-retry-type': type, 'x-delayed-retry-min': min, 'x-delayed-retry-max': max = min } = args;
    if ((type !== 'failed' && type !== 'all') || typeof min !== 'number' || typeof max !== 'number') return undefined;
    const { 'x-delivery-limit': limit = quorumDeliveryLimit ?? 0 } = args;
    return new QueueDelays(min, max, Number(limit) < 0 ? Infinity : Number(limit));
  }

  /** Does the queue delay messages exactly as in the list, whose last delay repeats, and allow that many attempts? */
  areThose(delays: readonly number[], attempts: number): boolean {
    const failures = attempts - 1;
    if (failures > this.deliveryLimit) return false;
    const asked = (failure: number): number | undefined => delays[Math.min(failure, delays.length) - 1];
    // Beyond the list the requested delay is constant, and the queue's delay never shrinks: checking the last failure is enough.
    const checked = [...delays.keys()].map((i) => i + 1).filter((failure) => failure <= failures);
    return [...checked, ...(failures > 0 ? [failures] : [])].every(
      (failure) => this.#after(failure) === asked(failure),
    );
  }

  #after(failure: number): number {
    return Math.min(this.min * failure, this.max);
  }
}
