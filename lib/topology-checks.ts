import { OptionsError, sentenceOf } from './errors';
import { plainTable, tableSize } from './field-table';
import { boolean, checkOptions, either, expected, integer, list, object, oneOf, shortString, string } from './options';
import { isObject, type Check, type Shape } from './options';
import type { Arguments, Route } from './properties';
import type { ExchangeSpec, QueueSpec, Topology } from './topology';

const positive = integer(1, 2 ** 32 - 1);
const natural = integer(0, 2 ** 32 - 1);

/** The check of `arguments`: a field table whose keys fit a shortstr and whose values AMQP can hold. */
export const table: Check = (value) => {
  if (!isObject(value)) return object(value);
  if (Object.keys(value).some((key) => shortString()(key) !== undefined))
    return 'an object with keys of at most 255 bytes';
  try {
    tableSize(plainTable(value, 'arguments'), 'arguments');
    return undefined;
  } catch (error) {
    return `an object that AMQP can hold (${sentenceOf(error)})`;
  }
};

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
  deliveryLimit: integer(-1, 2 ** 32 - 1),
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
