import { CONNECTION, type ConnectionOptions } from '../connection/connection';
import { CONSUMER_DEFAULTS, type ConsumeOptions } from '../consumer/consume';
import { checkOptions, duration, object, type Shape } from '../options';
import { PRODUCER, type ProducerOptions } from '../producer/producer-options';
import type { Topology } from '../topology';
import { checkTopology } from '../topology-checks';

/** How to reach the broker, and what holds for everything that uses it. */
export interface InstanceQueueOptions extends ConnectionOptions {
  /** Declared on both connections before use; a queue name used elsewhere means its entry here. */
  readonly topology?: Topology;
  /** For the producer behind `send` and `publish`, and defaults for `producer()`. */
  readonly producer?: Omit<ProducerOptions, 'topology'>;
  /** Defaults for every `consume()` and `consumer()`. */
  readonly consumer?: Pick<ConsumeOptions, 'prefetch' | 'tagPrefix' | 'checkAfter'>;
  /**
   * ms of not being up before `health` says down, and of settling nothing at its prefetch before it says that a consumer is
   * stalled. @default 30 000
   */
  readonly downAfter?: number;
}

const { topology: _, ...PRODUCER_DEFAULTS } = PRODUCER;
const INSTANCE_QUEUE: Shape<InstanceQueueOptions> = {
  ...CONNECTION,
  topology: object,
  producer: object,
  consumer: object,
  downAfter: duration(),
};

/** What the connections take themselves is checked by them. @throws OptionsError */
export function checkInstanceQueueOptions(options: InstanceQueueOptions): void {
  checkOptions(options, INSTANCE_QUEUE, { of: 'an InstanceQueue', required: ['url'] });
  const { topology, producer, consumer } = options;
  if (topology) checkTopology(topology);
  if (producer) checkOptions(producer, PRODUCER_DEFAULTS, { of: '`producer`', path: 'producer.' });
  if (consumer) checkOptions(consumer, CONSUMER_DEFAULTS, { of: '`consumer`', path: 'consumer.' });
}
