import { plainTable } from './field-table';
import { DEFAULTS } from './options';
import type { Arguments } from './properties';
import { queueTypeOf, type ExchangeSpec, type QueueSpec } from './topology';

/** The fields of `queue.declare`. https://www.rabbitmq.com/amqp-0-9-1-reference#queue.declare */
export interface QueueDeclaration {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Arguments;
}

/** The fields of `exchange.declare`. https://www.rabbitmq.com/amqp-0-9-1-reference#exchange.declare */
export interface ExchangeDeclaration {
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: Arguments;
}

/** What a queue spec means to the broker. https://www.rabbitmq.com/docs/queues#optional-arguments */
export function queueArguments(spec: QueueSpec): QueueDeclaration {
  const { deadLetter, delayedRetry, maxAge } = spec;
  return {
    durable: spec.durable ?? DEFAULTS.durable,
    exclusive: spec.exclusive ?? spec.name === '',
    autoDelete: spec.autoDelete ?? false,
    arguments: {
      ...plain(spec.arguments),
      ...present({
        'x-queue-type': spec.type,
        'x-dead-letter-exchange': deadLetter && (deadLetter.exchange ?? ''),
        'x-dead-letter-routing-key': deadLetter && (deadLetter.queue ?? deadLetter.routingKey),
        'x-message-ttl': spec.messageTtl,
        'x-expires': spec.expires,
        'x-max-length': spec.maxLength,
        'x-max-length-bytes': spec.maxLengthBytes,
        'x-overflow': spec.overflow,
        'x-dead-letter-strategy': spec.deadLetterStrategy,
        'x-delivery-limit': spec.deliveryLimit,
        'x-delayed-retry-type': delayedRetry && (delayedRetry.type ?? DEFAULTS.delayedRetry),
        'x-delayed-retry-min': delayedRetry?.min,
        'x-delayed-retry-max': delayedRetry?.max,
        'x-consumer-timeout': spec.consumerTimeout,
        'x-max-age': typeof maxAge === 'number' ? `${String(maxAge / 1000)}s` : maxAge,
        'x-stream-max-segment-size-bytes': spec.segmentSize,
        'x-queue-leader-locator': spec.leaderLocator,
        [queueTypeOf(spec) === 'stream' ? 'x-initial-cluster-size' : 'x-quorum-initial-group-size']:
          spec.initialGroupSize,
        'x-single-active-consumer': spec.singleActiveConsumer,
        'x-max-priority': spec.maxPriority,
      }),
    },
  };
}

/** What an exchange spec means to the broker. https://www.rabbitmq.com/docs/ae */
export function exchangeArguments(spec: ExchangeSpec): ExchangeDeclaration {
  return {
    type: spec.type,
    durable: spec.durable ?? DEFAULTS.durable,
    autoDelete: spec.autoDelete ?? false,
    internal: spec.internal ?? false,
    arguments: { ...plain(spec.arguments), ...present({ 'alternate-exchange': spec.alternateExchange }) },
  };
}

const plain = (table: Arguments = {}): Arguments => plainTable(table, 'arguments');

/** Of the members that the library names itself. */
function present(table: Record<string, unknown>): Arguments {
  const given: Record<string, unknown> = {};
  for (const name in table) if (table[name] !== undefined) given[name] = table[name];
  return given;
}
