import { OptionsError, sentenceOf } from './errors';
import { plainTable, tableSize } from './field-table';
import { intervalOf } from './interval';
import {
  boolean,
  checkOptions,
  either,
  entityName,
  expected,
  integer,
  list,
  object,
  oneOf,
  shortString,
  string,
} from './options';
import { LONGEST, isObject, type Check, type Shape } from './options';
import type { Arguments, Route } from './properties';
import { queueTypeOf, type DelayedRetry, type ExchangeSpec, type QueueSpec, type Topology } from './topology';
import { queueArguments } from './topology-arguments';

const positive = integer(1, 2 ** 32 - 1);
const natural = integer(0, 2 ** 32 - 1);
const wholeSeconds: Check = (value) =>
  typeof value === 'number' && value >= 1000 && Number.isSafeInteger(value) && value % 1000 === 0 ? undefined : 'ms';

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
  queue: entityName,
  exchange: entityName,
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
  // No queue has that name: the broker would drop whatever goes there.
  if (queue === '') throw expected(`${path}.queue`, 'the name of a queue', queue);
}

const QUEUE: Shape<QueueSpec> = {
  name: entityName,
  type: oneOf('classic', 'quorum', 'stream'),
  durable: boolean,
  exclusive: boolean,
  autoDelete: boolean,
  passive: boolean,
  deadLetter: object,
  messageTtl: natural,
  expires: positive,
  maxLength: natural,
  maxLengthBytes: integer(0, Number.MAX_SAFE_INTEGER),
  overflow: oneOf('drop-head', 'reject-publish', 'reject-publish-dlx'),
  deadLetterStrategy: oneOf('at-most-once', 'at-least-once'),
  deliveryLimit: integer(-1, 2 ** 32 - 1),
  delayedRetry: object,
  consumerTimeout: positive,
  maxAge: (value) =>
    intervalOf(value) === undefined && wholeSeconds(value) !== undefined
      ? "an interval (a whole number and one of Y, M, D, h, m and s, such as '7D'), or a number of ms in whole seconds"
      : undefined,
  segmentSize: integer(1, 3_000_000_000),
  leaderLocator: oneOf('client-local', 'balanced'),
  initialGroupSize: integer(1, 255),
  singleActiveConsumer: boolean,
  maxPriority: integer(1, 255),
  arguments: table,
};
/** ms; RabbitMQ's timers and ours hold no more. */
const wait = integer(1, LONGEST);
const DELAYED_RETRY: Shape<DelayedRetry> = { type: oneOf('failed', 'returned', 'all'), min: wait, max: wait };

type QueueType = NonNullable<QueueSpec['type']>;
/**
 * The types of queue that know an option. On another type some versions of RabbitMQ refuse it and others ignore it; without a
 * type the virtual host decides which it is. https://www.rabbitmq.com/docs/queues#optional-arguments
 */
const FOR_TYPES = {
  deadLetterStrategy: ['quorum'],
  delayedRetry: ['quorum'],
  consumerTimeout: ['quorum'],
  initialGroupSize: ['quorum', 'stream'],
  maxAge: ['stream'],
  segmentSize: ['stream'],
} as const satisfies Partial<Record<keyof QueueSpec, readonly QueueType[]>>;

const EXCHANGE: Shape<ExchangeSpec> = {
  name: entityName,
  type: string,
  durable: boolean,
  autoDelete: boolean,
  internal: boolean,
  passive: boolean,
  alternateExchange: entityName,
  arguments: table,
};
const BINDING: Shape<{
  exchange: string;
  routingKey: string;
  arguments: Arguments;
  queue: string;
  toExchange: string;
}> = {
  exchange: entityName,
  routingKey: shortString(),
  arguments: table,
  queue: entityName,
  toExchange: entityName,
};
const TOPOLOGY: Shape<Topology> = { exchanges: list, queues: list, bindings: list };

/** A queue by name or by spec: the check of the `queue` option. */
export const queueOption: Check = either(entityName, object);

/** Refuses a spec the broker would answer by closing the channel or the connection. */
export function checkQueueSpec(spec: QueueSpec, path: string): void {
  checkOptions(spec, QUEUE, { of: 'a queue', path: `${path}.`, required: ['name'] });
  if (spec.deadLetter !== undefined) checkRoute(spec.deadLetter, `${path}.deadLetter`);
  const refuse = (option: string, sentence: string): never => {
    throw new OptionsError(`${path}.${option}`, `Queue \`${spec.name}\`: ${sentence}`);
  };
  const exclusive = spec.exclusive ?? spec.name === '';
  const replicated = spec.type === 'quorum' || spec.type === 'stream';
  const type = queueTypeOf(spec);
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
  for (const [option, types] of Object.entries<readonly string[]>(FOR_TYPES)) {
    if (Reflect.get(spec, option) === undefined || (type !== undefined && types.includes(type))) continue;
    const needed = types.map((one) => `\`type: '${one}'\``).join(' or ');
    refuse(
      option,
      `\`${option}\` needs ${needed}, and ${type === undefined ? 'the spec names no type' : `this is a ${type} queue`}.`,
    );
  }
  checkOverflow(spec, type, refuse);
  if (spec.delayedRetry) checkDelayedRetry(spec.delayedRetry, `${path}.delayedRetry`);
}

/** What RabbitMQ accepts, and then does not do. */
function checkOverflow(
  spec: QueueSpec,
  type: string | undefined,
  refuse: (option: string, sentence: string) => never,
): void {
  // https://www.rabbitmq.com/docs/quorum-queues#length-limit
  if (type === 'quorum' && spec.overflow === 'reject-publish-dlx') {
    refuse('overflow', "a quorum queue takes 'reject-publish-dlx' for 'drop-head'. Use 'reject-publish'.");
  }
  // https://www.rabbitmq.com/docs/quorum-queues#activating-at-least-once-dead-lettering
  if (spec.deadLetterStrategy !== 'at-least-once') return;
  const { 'x-overflow': overflow, 'x-dead-letter-exchange': exchange } = queueArguments(spec).arguments;
  if (exchange === undefined) refuse('deadLetterStrategy', "'at-least-once' needs a `deadLetter`.");
  if (overflow !== 'reject-publish') {
    refuse('deadLetterStrategy', "'at-least-once' needs `overflow: 'reject-publish'`: without it RabbitMQ falls back.");
  }
}

function checkDelayedRetry(delayedRetry: DelayedRetry, path: string): void {
  checkOptions(delayedRetry, DELAYED_RETRY, { of: 'a delayed retry', path: `${path}.`, required: ['min'] });
  const { min, max = min } = delayedRetry;
  if (max < min) throw expected(`${path}.max`, `at least \`min\` (${String(min)})`, max);
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
