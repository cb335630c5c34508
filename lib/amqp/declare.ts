import type { Channel } from 'amqplib';
import { plainTable } from '../field-table';
import type { QueueSpec, Topology } from '../topology';
import { exchangeArguments, queueArguments } from '../topology-arguments';

/** Asserts or checks one queue. Resolves with its name, which the broker may have chosen. */
async function declareQueue(channel: Channel, spec: QueueSpec): Promise<string> {
  const { queue } = spec.passive
    ? await channel.checkQueue(spec.name)
    : await channel.assertQueue(spec.name, queueArguments(asKnownTo(channel, spec)));
  return queue;
}

/**
 * RabbitMQ counts a limit of -1 as none since 4.0. Earlier ones take it for a number and drop the message at its first
 * failure; they have no limit unless one is given. https://www.rabbitmq.com/docs/quorum-queues#position-delivery-limit
 */
function asKnownTo({ connection }: Channel, spec: QueueSpec): QueueSpec {
  const { deliveryLimit = 0, ...others } = spec;
  const { version } = connection.serverProperties as { readonly version?: unknown };
  return deliveryLimit < 0 && Number.parseInt(String(version), 10) < 4 ? others : spec;
}

/**
 * Declares exchanges, queues, then bindings. The broker answers a refusal by closing the channel: use one of its own.
 * Resolves with the broker's name of the queue `own` (bindings of '' mean that queue).
 */
export async function declareTopology(
  channel: Channel,
  topology: Topology,
  own?: QueueSpec,
): Promise<string | undefined> {
  for (const spec of topology.exchanges ?? []) {
    const { type, ...options } = exchangeArguments(spec);
    await (spec.passive ? channel.checkExchange(spec.name) : channel.assertExchange(spec.name, type, options));
  }
  for (const spec of topology.queues ?? []) if (spec !== own) await declareQueue(channel, spec);
  // Last, because a binding to '' means the queue declared last on the channel.
  const name = own && (await declareQueue(channel, own));
  for (const { exchange, queue, toExchange, routingKey = '', ...spec } of topology.bindings ?? []) {
    const args = plainTable(spec.arguments ?? {}, 'arguments');
    await (toExchange === undefined
      ? channel.bindQueue(queue === '' ? (name ?? '') : queue, exchange, routingKey, args)
      : channel.bindExchange(toExchange, exchange, routingKey, args));
  }
  return name;
}
