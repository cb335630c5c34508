import { CONNECTION, type ConnectionOptions } from '../connection/connection-options';
import { CONSUMER_DEFAULTS, type ConsumeOptions } from '../consumer/consume-options';
import { checkIsOptions, checkOptions, duration, object, oneOf, type Shape } from '../options';
import { PRODUCER, type ProducerOptions } from '../producer/producer-options';
import { mergeTopologies, type Topology } from '../topology';
import { checkTopology } from '../topology-checks';

/** How to reach the broker, and defaults for all consumers and producers. */
export interface InstanceQueueOptions extends ConnectionOptions {
  /** Declared by every consumer and producer before it is used. The name of a queue in it means that entry, wherever it is used. */
  readonly topology?: Topology;
  /**
   * Which queues and exchanges may be named. 'declared': those alone that a topology or a spec declares, here or in a consumer or
   * producer of this queue, and those that RabbitMQ has by itself (`amq.…`). Any other name is refused, with a suggestion: in a
   * message or request as a PublishError (PUBLISH_INVALID), in options, bindings and dead-letter targets as an OptionsError. The
   * default exchange (`exchange: ''`) still takes any routing key, for a `replyTo` that only the other side knows; it makes no
   * queue. 'open': every name is used as it is, and one that nearly is a declared one is warned of once in the log. @default 'open'
   */
  readonly names?: 'open' | 'declared';
  /** Options of the producer behind `send` and `publish`, and defaults for `producer()`. */
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
  names: oneOf('open', 'declared'),
  producer: object,
  consumer: object,
  downAfter: duration(),
};

/** Checks all but the options of connections, which `Connection` checks. @throws OptionsError */
export function checkInstanceQueueOptions(options: InstanceQueueOptions): void {
  checkOptions(options, INSTANCE_QUEUE, { of: 'an InstanceQueue', required: ['url'] });
  const { topology, producer, consumer } = options;
  if (topology) checkTopology(topology);
  if (producer) checkOptions(producer, PRODUCER_DEFAULTS, { of: '`producer`', path: 'producer.' });
  if (consumer) checkOptions(consumer, CONSUMER_DEFAULTS, { of: '`consumer`', path: 'consumer.' });
}

/** The options of a consumer, with the topology and the defaults of its queue. */
export function withConsumerDefaults<O extends Pick<ConsumeOptions, 'topology'>>(
  { topology, consumer = {} }: InstanceQueueOptions,
  given: O,
): O {
  checkIsOptions(given, 'consume()');
  // Where nothing is settled the broker ignores a prefetch, and `noAck` refuses one.
  const noAck = Reflect.get(given, 'noAck') === true;
  const missing = Object.entries(consumer).filter(
    ([name]) => Reflect.get(given, name) === undefined && !(noAck && name === 'prefetch'),
  );
  const topologies = topology && { topology: mergeTopologies(given.topology, topology) };
  return { ...given, ...Object.fromEntries(missing), ...topologies };
}
