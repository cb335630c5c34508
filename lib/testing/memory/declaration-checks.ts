import { isDeepStrictEqual } from 'node:util';
import { intervalOf } from '../../interval';
import type { Arguments } from '../../properties';
import type { ExchangeDeclaration, QueueDeclaration } from '../../topology-arguments';
import { describeField, sameField } from './field-table';
import { comparesAges } from './generation';
import { PRIORITY } from './queue-consumer';
import { Refusal } from './refusal';

type QueueType = 'classic' | 'quorum' | 'stream';

const QUEUES: readonly QueueType[] = ['classic', 'quorum'];
const ALL: readonly QueueType[] = [...QUEUES, 'stream'];
const LONGEST = 315_360_000_000;

interface ArgumentRule {
  readonly types: readonly QueueType[];
  /** What is wrong with the value, as RabbitMQ shows it. */
  readonly wrong: (value: unknown, all: Arguments) => string | undefined;
}

const whole =
  (from: number, to: number, tooMuch: string) =>
  (value: unknown): string | undefined => {
    if (typeof value !== 'number' || !Number.isInteger(value))
      return `"expected integer, got ${describeField(value).type}"`;
    if (value < from) return value === 0 ? '{value_zero,0}' : `{value_negative,${String(value)}}`;
    return value > to ? `{${tooMuch},${String(value)}}` : undefined;
  };
const anyWhole = whole(-Infinity, Infinity, '');
const length = whole(0, Infinity, '');
const groupSize = whole(1, Infinity, '');

const unacceptable = (value: unknown): string => `{unacceptable_type,${describeField(value).type}}`;

const text =
  (fits: (value: string, all: Arguments) => boolean, otherwise: string): ArgumentRule['wrong'] =>
  (value, all) => {
    if (typeof value !== 'string') return unacceptable(value);
    return fits(value, all) ? undefined : otherwise;
  };
const oneOf = (values: readonly string[], otherwise: string): ArgumentRule['wrong'] =>
  text((value) => values.includes(value), otherwise);

/** In RabbitMQ's order: of several faults it names the first. https://www.rabbitmq.com/docs/queues#optional-arguments */
const QUEUE_ARGUMENTS: Readonly<Record<string, ArgumentRule>> = {
  'x-expires': { types: QUEUES, wrong: whole(1, LONGEST, 'value_too_large') },
  'x-message-ttl': { types: QUEUES, wrong: whole(0, LONGEST, 'value_too_large') },
  'x-dead-letter-exchange': { types: QUEUES, wrong: () => undefined },
  'x-dead-letter-routing-key': {
    types: QUEUES,
    wrong: text((_, all) => all['x-dead-letter-exchange'] !== undefined, 'routing_key_but_no_dlx_defined'),
  },
  'x-dead-letter-strategy': {
    types: ['quorum'],
    wrong: oneOf(['at-most-once', 'at-least-once'], 'invalid_dlx_strategy'),
  },
  'x-max-length': { types: QUEUES, wrong: length },
  'x-max-length-bytes': { types: ALL, wrong: length },
  'x-delivery-limit': { types: ['quorum'], wrong: () => undefined },
  'x-max-priority': { types: ['classic'], wrong: whole(0, 255, 'max_value_exceeded') },
  'x-overflow': {
    types: QUEUES,
    wrong: oneOf(['drop-head', 'reject-publish', 'reject-publish-dlx'], 'invalid_overflow'),
  },
  'x-queue-mode': { types: ['classic'], wrong: () => undefined },
  'x-single-active-consumer': {
    types: QUEUES,
    wrong: (value) => (typeof value === 'boolean' ? undefined : unacceptable(value)),
  },
  'x-consumer-timeout': { types: ['quorum'], wrong: length },
  'x-queue-type': { types: ALL, wrong: () => undefined },
  'x-quorum-initial-group-size': { types: ['quorum'], wrong: groupSize },
  'x-max-age': { types: ['stream'], wrong: text((value) => /^0*[1-9]\d*[YMDhms]$/.test(value), 'invalid_max_age') },
  'x-stream-max-segment-size-bytes': { types: ['stream'], wrong: length },
  'x-initial-cluster-size': { types: ['stream'], wrong: groupSize },
  'x-queue-leader-locator': {
    types: ALL,
    // The last two are those of RabbitMQ 3.10, and still taken.
    wrong: oneOf(['client-local', 'balanced', 'random', 'least-leaders'], 'invalid_queue_locator_arg'),
  },
  // RabbitMQ does not look at their values, and switches the retries off if they make no sense.
  'x-delayed-retry-type': { types: ['quorum'], wrong: () => undefined },
  'x-delayed-retry-min': { types: ['quorum'], wrong: () => undefined },
  'x-delayed-retry-max': { types: ['quorum'], wrong: () => undefined },
};
/** The type of queue that arguments ask for. */
function queueType(what: string, { 'x-queue-type': type = 'classic' }: Arguments): QueueType {
  if (type === 'classic' || type === 'quorum' || type === 'stream') return type;
  const fault = typeof type === 'string' ? `"unsupported queue type '${type}'"` : unacceptable(type);
  throw new Refusal(406, `invalid arg 'x-queue-type' for ${what}: ${fault}`);
}

/** Refuses a new queue that RabbitMQ would refuse. */
export function checkNewQueue(
  name: string,
  { durable, exclusive, autoDelete, arguments: args }: QueueDeclaration,
): void {
  const what = `queue '${name}' in vhost '/'`;
  const { 'x-dead-letter-exchange': exchange = '' } = args;
  if (typeof exchange !== 'string') {
    throw new Refusal(
      406,
      `invalid type '${describeField(exchange).type}' for arg 'x-dead-letter-exchange' in ${what}`,
    );
  }
  const type = queueType(what, args);
  const rules = Object.entries(QUEUE_ARGUMENTS);
  for (const [key, { types, wrong }] of rules) {
    const value = args[key];
    const fault = value !== undefined && types.includes(type) ? wrong(value, args) : undefined;
    if (fault !== undefined) throw new Refusal(406, `invalid arg '${key}' for ${what}: ${fault}`);
  }
  const others = new Set(rules.flatMap(([key, { types }]) => (types.includes(type) ? [] : [key])));
  const foreign = Object.keys(args).find((key) => others.has(key) && args[key] !== undefined);
  if (foreign !== undefined) {
    throw new Refusal(406, `invalid arg '${foreign}' for ${what} of queue type rabbit_${type}_queue`);
  }
  if (type === 'classic') return;
  const refuse = (property: string): never => {
    throw new Refusal(406, `invalid property '${property}' for ${what}`);
  };
  if (autoDelete) refuse('auto-delete');
  if (exclusive) refuse('exclusive-owner');
  if (!durable) refuse('non-durable');
}

/** Refuses to declare a queue anew as something else. Arguments that RabbitMQ does not know do not count. */
export function checkSameQueue(
  name: string,
  current: QueueDeclaration,
  received: QueueDeclaration,
  version: string,
): void {
  if (isSame(current, received)) return;
  const what = `queue '${name}' in vhost '/'`;
  checkSame(what, 'durable', current.durable, received.durable);
  checkSame(what, 'auto_delete', current.autoDelete, received.autoDelete);
  const type = queueType(what, current.arguments);
  for (const [key, { types }] of Object.entries(QUEUE_ARGUMENTS)) {
    // Since RabbitMQ 4.0 a queue declared without a type has the default one.
    const absent = key === 'x-queue-type' ? 'classic' : undefined;
    if (!types.includes(type)) continue;
    const [one, other] = [current, received].map(({ arguments: args }) => args[key] ?? absent);
    const ages = key === 'x-max-age' && comparesAges(version) ? [one, other].map(intervalOf) : [];
    checkSameArgument(what, key, ages[0] ?? one, ages[1] ?? other);
  }
}

/** The same of an exchange. */
export function checkSameExchange(name: string, current: ExchangeDeclaration, received: ExchangeDeclaration): void {
  const what = `exchange '${name}' in vhost '/'`;
  checkSame(what, 'type', current.type, received.type);
  checkSame(what, 'durable', current.durable, received.durable);
  checkSame(what, 'auto_delete', current.autoDelete, received.autoDelete);
  checkSame(what, 'internal', current.internal, received.internal);
  const key = 'alternate-exchange';
  checkSameArgument(what, key, current.arguments[key], received.arguments[key]);
}

/** Refuses the priority of a consumer that is none. `what`: its queue. */
export function checkPriority(what: string, { [PRIORITY]: priority }: Arguments): void {
  const fault = priority === undefined ? undefined : anyWhole(priority);
  if (fault !== undefined) throw new Refusal(406, `invalid arg '${PRIORITY}' for ${what}: ${fault}`);
}

/** Is it the same for sure? */
function isSame(one: QueueDeclaration, other: QueueDeclaration): boolean {
  const names = Object.keys(one.arguments);
  return (
    one.durable === other.durable &&
    one.autoDelete === other.autoDelete &&
    names.length === Object.keys(other.arguments).length &&
    names.every((name) => one.arguments[name] === other.arguments[name])
  );
}

function checkSame(what: string, property: string, current: unknown, received: unknown): void {
  if (isDeepStrictEqual(current, received)) return;
  throw inequivalent(property, what, `'${String(received)}'`, `'${String(current)}'`);
}

function checkSameArgument(what: string, key: string, current: unknown, received: unknown): void {
  if (sameField(current, received)) return;
  const shown = current !== undefined && received !== undefined ? quoted : quotedWithType;
  throw inequivalent(key, what, shown(received), shown(current));
}

function inequivalent(property: string, what: string, received: string, current: string): Refusal {
  return new Refusal(406, `inequivalent arg '${property}' for ${what}: received ${received} but current is ${current}`);
}

const quoted = (value: unknown): string => `'${describeField(value).value}'`;

function quotedWithType(value: unknown): string {
  if (value === undefined) return 'none';
  const { value: shown, type } = describeField(value);
  return `the value '${shown}' of type '${type}'`;
}
