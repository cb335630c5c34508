import type { Channel, Options } from 'amqplib';
import { OptionsError } from './errors';
import { boolean, checkOptions, either, expected, integer, list, object, oneOf, shortString, string } from './options';
import { DEFAULTS, isObject, type Check, type Shape } from './options';
import type { Arguments, Route } from './properties';

/** A queue to assert (or, with `passive`, to check). Anything RabbitMQ knows beyond these goes into `arguments`. */
export interface QueueSpec {
  /** At most 255 bytes; '' lets the broker choose a name, anew at every attach. */
  readonly name: string;
  /** @default what the virtual host defaults to, usually classic */
  readonly type?: 'classic' | 'quorum' | 'stream';
  /** Survives a restart of the broker. `false` only together with `exclusive`: RabbitMQ 4.3 denies the rest. @default true */
  readonly durable?: boolean;
  /** Belongs to this connection and dies with it. @default false; true for a queue named by the broker */
  readonly exclusive?: boolean;
  /** Deleted when its last consumer leaves. @default false */
  readonly autoDelete?: boolean;
  /** Check that it exists, never create it. @default false */
  readonly passive?: boolean;
  /** Where rejected, expired and overflowing messages go. */
  readonly deadLetter?: Route;
  /** ms a message may wait in the queue. */
  readonly messageTtl?: number;
  /** ms without use after which the queue is deleted. */
  readonly expires?: number;
  /** Messages ready in the queue at most. */
  readonly maxLength?: number;
  /** What happens beyond `maxLength`. @default drop-head, by the broker */
  readonly overflow?: 'drop-head' | 'reject-publish' | 'reject-publish-dlx';
  /** Quorum queues: deliveries that may fail before the message is dead-lettered. */
  readonly deliveryLimit?: number;
  /** Only one consumer at a time gets messages; the next takes over when it leaves. */
  readonly singleActiveConsumer?: boolean;
  /** Classic queues: number of priorities, 1 to 255. */
  readonly maxPriority?: number;
  /** Anything else, verbatim. */
  readonly arguments?: Arguments;
}

/** An exchange to assert (or, with `passive`, to check). */
export interface ExchangeSpec {
  readonly name: string;
  readonly type: 'direct' | 'topic' | 'fanout' | 'headers' | (string & {});
  /** @default true */
  readonly durable?: boolean;
  /** Deleted when its last binding goes. @default false */
  readonly autoDelete?: boolean;
  /** Reachable through other exchanges only. @default false */
  readonly internal?: boolean;
  /** Check that it exists, never create it. @default false */
  readonly passive?: boolean;
  /** Where messages go that this exchange cannot route. */
  readonly alternateExchange?: string;
  readonly arguments?: Arguments;
}

/** A binding of a queue, or of another exchange, to an exchange. */
export type BindingSpec = {
  /** The source. */
  readonly exchange: string;
  /** @default '' */
  readonly routingKey?: string;
  readonly arguments?: Arguments;
} & ({ readonly queue: string; readonly toExchange?: never } | { readonly toExchange: string; readonly queue?: never });

/** What must stand at the broker before messages flow. Declared in this order. */
export interface Topology {
  readonly exchanges?: readonly ExchangeSpec[];
  readonly queues?: readonly QueueSpec[];
  readonly bindings?: readonly BindingSpec[];
}

const positive = integer(1, 2 ** 32 - 1);
const natural = integer(0, 2 ** 32 - 1);

/** A field table nested in options: an object whose keys fit a shortstr. */
export const table: Check = (value) =>
  object(value) ??
  (Object.keys(value as object).every((key) => shortString()(key) === undefined)
    ? undefined
    : 'an object with keys of at most 255 bytes');

const ROUTE: Shape<{ queue: string; exchange: string; routingKey: string }> = {
  queue: shortString(),
  exchange: shortString(),
  routingKey: shortString(),
};

/** Refuses what is not exactly one of the two routes. */
export function checkRoute(route: unknown, path: string): asserts route is Route {
  if (!isObject(route)) throw expected(path, 'a route: { queue } or { exchange, routingKey }', route);
  const { queue, exchange, routingKey } = route;
  checkOptions({ queue, exchange, routingKey }, ROUTE, { of: 'a route', path: `${path}.` });
  if ((queue === undefined) === (exchange === undefined)) {
    throw new OptionsError(
      path,
      `Expected \`${path}\` to name either a \`queue\` or an \`exchange\`, got ${queue === undefined ? 'neither' : 'both'}.`,
    );
  }
  if (queue !== undefined && routingKey !== undefined) {
    throw new OptionsError(path, `Expected no \`routingKey\` beside \`${path}.queue\`: a queue route has none.`);
  }
}

const QUEUE: Shape<QueueSpec> = {
  name: shortString(),
  type: oneOf('classic', 'quorum', 'stream'),
  durable: boolean,
  exclusive: boolean,
  autoDelete: boolean,
  passive: boolean,
  deadLetter: object,
  messageTtl: natural,
  expires: positive,
  maxLength: natural,
  overflow: oneOf('drop-head', 'reject-publish', 'reject-publish-dlx'),
  deliveryLimit: natural,
  singleActiveConsumer: boolean,
  maxPriority: integer(1, 255),
  arguments: table,
};
const EXCHANGE: Shape<ExchangeSpec> = {
  name: shortString(),
  type: string,
  durable: boolean,
  autoDelete: boolean,
  internal: boolean,
  passive: boolean,
  alternateExchange: shortString(),
  arguments: table,
};
const BINDING: Shape<{
  exchange: string;
  routingKey: string;
  arguments: Arguments;
  queue: string;
  toExchange: string;
}> = {
  exchange: shortString(),
  routingKey: shortString(),
  arguments: table,
  queue: shortString(),
  toExchange: shortString(),
};
const TOPOLOGY: Shape<Topology> = { exchanges: list, queues: list, bindings: list };

/** A queue by name or by spec: the check of the `queue` option. */
export const queueOption: Check = either(shortString(), object);

/** Refuses a spec the broker would answer by closing the channel or the connection. */
export function checkQueueSpec(spec: QueueSpec, path: string): void {
  checkOptions(spec, QUEUE, { of: 'a queue', path: `${path}.`, required: ['name'] });
  if (spec.deadLetter !== undefined) checkRoute(spec.deadLetter, `${path}.deadLetter`);
  const refuse = (option: string, sentence: string): never => {
    throw new OptionsError(`${path}.${option}`, `Queue \`${spec.name}\`: ${sentence}`);
  };
  const exclusive = spec.exclusive ?? spec.name === '';
  const replicated = spec.type === 'quorum' || spec.type === 'stream';
  if (spec.passive === true && spec.name === '') refuse('passive', 'a queue that the broker names cannot be checked.');
  if (
    replicated &&
    (spec.durable === false || exclusive || spec.autoDelete === true || spec.maxPriority !== undefined)
  ) {
    refuse(
      'type',
      `a ${spec.type ?? ''} queue is durable, and neither exclusive, autoDelete nor of several priorities.`,
    );
  }
  if (spec.durable === false && !exclusive) {
    // RabbitMQ 4.3 answers a transient non-exclusive queue with 541, which closes the whole connection.
    // https://www.rabbitmq.com/docs/queues#durability
    refuse('durable', '`durable: false` needs `exclusive: true`; RabbitMQ 4.3 and later deny other transient queues.');
  }
}

/** Refuses a topology with a wrong entry, and names the entry. */
export function checkTopology(topology: Topology, path = 'topology'): void {
  checkOptions(topology, TOPOLOGY, { of: 'a topology', path: `${path}.` });
  topology.exchanges?.forEach((spec, i) => {
    checkOptions(spec, EXCHANGE, {
      of: 'an exchange',
      path: `${path}.exchanges[${String(i)}].`,
      required: ['name', 'type'],
    });
  });
  topology.queues?.forEach((spec, i) => {
    checkQueueSpec(spec, `${path}.queues[${String(i)}]`);
  });
  topology.bindings?.forEach((spec, i) => {
    const at = `${path}.bindings[${String(i)}]`;
    checkOptions(spec, BINDING, { of: 'a binding', path: `${at}.`, required: ['exchange'] });
    if ((spec.queue === undefined) === (spec.toExchange === undefined)) {
      throw new OptionsError(at, `Expected \`${at}\` to name either a \`queue\` or \`toExchange\`.`);
    }
  });
}

/** The entry of that name, if the topology has one. */
export function queueNamed(topology: Topology | undefined, name: string): QueueSpec | undefined {
  return topology?.queues?.find((spec) => spec.name === name);
}

/** Two topologies as one; an entry of `first` wins over one of the same name in `second`. */
export function mergeTopologies(first: Topology | undefined, second: Topology | undefined): Topology {
  const named = <S extends { readonly name: string }>(a: readonly S[] = [], b: readonly S[] = []): S[] => [
    ...a,
    ...b.filter((spec) => !a.some(({ name }) => name === spec.name)),
  ];
  return {
    exchanges: named(first?.exchanges, second?.exchanges),
    queues: named(first?.queues, second?.queues),
    bindings: [...(first?.bindings ?? []), ...(second?.bindings ?? [])],
  };
}

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
