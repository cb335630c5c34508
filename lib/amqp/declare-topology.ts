import type { Channel, Options } from 'amqplib';
import { DEFAULTS } from '../options';
import type { QueueSpec, Topology } from '../topology';

/** What `queue.declare` is sent with. https://www.rabbitmq.com/docs/queues#optional-arguments */
export function queueArguments(spec: QueueSpec): Options.AssertQueue {
  const { deadLetter } = spec;
  const named: Record<string, unknown> = {
    'x-queue-type': spec.type,
    'x-dead-letter-exchange': deadLetter && (deadLetter.exchange ?? ''),
    'x-dead-letter-routing-key': deadLetter && (deadLetter.queue ?? deadLetter.routingKey),
    'x-message-ttl': spec.messageTtl,
    'x-expires': spec.expires,
    'x-max-length': spec.maxLength,
    'x-overflow': spec.overflow,
    'x-delivery-limit': spec.deliveryLimit,
    'x-single-active-consumer': spec.singleActiveConsumer,
    'x-max-priority': spec.maxPriority,
  };
  const given = Object.entries(named).filter(([, value]) => value !== undefined);
  return {
    durable: spec.durable ?? DEFAULTS.durable,
    exclusive: spec.exclusive ?? spec.name === '',
    autoDelete: spec.autoDelete ?? false,
    arguments: { ...spec.arguments, ...Object.fromEntries(given) },
  };
}

/** Asserts or checks one queue; resolves with its name, which the broker may have chosen. */
export async function declareQueue(channel: Channel, spec: QueueSpec): Promise<string> {
  const { queue } = spec.passive
    ? await channel.checkQueue(spec.name)
    : await channel.assertQueue(spec.name, queueArguments(spec));
  return queue;
}

/**
 * Declares exchanges, queues, then bindings. A refusal closes the channel: use one of its own.
 * Resolves with the broker's name of the queue `named` (bindings of '' mean that queue).
 */
export async function declareTopology(
  channel: Channel,
  topology: Topology,
  own?: QueueSpec,
): Promise<string | undefined> {
  for (const spec of topology.exchanges ?? []) {
    await (spec.passive
      ? channel.checkExchange(spec.name)
      : channel.assertExchange(spec.name, spec.type, {
          durable: spec.durable ?? DEFAULTS.durable,
          autoDelete: spec.autoDelete ?? false,
          internal: spec.internal ?? false,
          ...(spec.alternateExchange !== undefined && { alternateExchange: spec.alternateExchange }),
          ...(spec.arguments && { arguments: spec.arguments }),
        }));
  }
  for (const spec of topology.queues ?? []) if (spec !== own) await declareQueue(channel, spec);
  // Last, because a binding to '' means the queue declared last on the channel.
  const name = own && (await declareQueue(channel, own));
  for (const { exchange, queue, toExchange, routingKey = '', arguments: args } of topology.bindings ?? []) {
    await (toExchange === undefined
      ? channel.bindQueue(queue === '' ? (name ?? '') : queue, exchange, routingKey, args)
      : channel.bindExchange(toExchange, exchange, routingKey, args));
  }
  return name;
}
