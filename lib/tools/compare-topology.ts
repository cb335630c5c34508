import type { InstanceQueue } from '../client/instance-queue';
import { ChannelError, ConnectionError, sentenceOf } from '../errors';
import { checkOptions, object, type Shape } from '../options';
import type { Arguments } from '../properties';
import type { BindingSpec, ExchangeSpec, QueueSpec, Topology } from '../topology';
import { exchangeArguments, queueArguments } from '../topology-arguments';
import { checkTopology } from '../topology-checks';
import { type ListedBinding, Management, type ManagementOptions } from './management';

/** An exchange, a queue or a binding of a topology, compared with what the broker has. */
export interface TopologyComparison {
  readonly kind: 'exchange' | 'queue' | 'binding';
  /** A binding is `source → destination (key)`. */
  readonly name: string;
  /**
   * `same`; `missing`: the broker does not have it; `different`; `extra`: a binding between a declared exchange and a declared queue
   * that is not declared; `unknown`: the broker did not say, also if that is so of one argument alone.
   */
  readonly state: 'same' | 'missing' | 'different' | 'extra' | 'unknown';
  /** Each difference in words, or why it is unknown. */
  readonly details: readonly string[];
}

/** Where bindings are read. */
export interface CompareOptions {
  /** Bindings cannot be read by AMQP. @default none: bindings are `unknown` */
  readonly management?: ManagementOptions;
}

const COMPARE: Shape<CompareOptions> = { management: object };

/** What RabbitMQ says of the first property that differs. */
const INEQUIVALENT = /inequivalent arg '([^']+)' for \w+ '.*' in vhost '.*': received (.+) but current is (.+)$/s;
/** Properties of one declaration at most. */
const TRIES = 32;
/** Arguments that RabbitMQ compares, of those that a queue or an exchange may well have. It passes over others. */
const COMPARED: ReadonlySet<string> = new Set(
  [
    ...['dead-letter-exchange', 'dead-letter-routing-key', 'message-ttl', 'expires', 'max-length'],
    ...['max-length-bytes', 'overflow', 'single-active-consumer', 'max-priority', 'delivery-limit', 'queue-type'],
  ].map((name) => `x-${name}`),
).add('alternate-exchange');

/**
 * Compares a topology with what the broker has, and changes nothing. Queues and exchanges are looked up, then declared as they are
 * there: the broker refuses what differs, and says in what. That needs the permission to configure them; what a policy sets is not
 * seen.
 *
 * Resolves with one entry for each part of the topology, and for each binding that is there in addition. Rejects: ConnectionError,
 * OptionsError.
 *
 * @example
 * const differences = (await compareTopology(queue, topology)).filter(({ state }) => state !== 'same');
 */
export async function compareTopology(
  queue: InstanceQueue,
  topology: Topology,
  options: CompareOptions = {},
): Promise<readonly TopologyComparison[]> {
  checkTopology(topology);
  checkOptions(options, COMPARE, { of: 'compareTopology()' });
  const management = options.management && new Management(options.management);
  const compared: TopologyComparison[] = [];
  for (const spec of topology.exchanges ?? []) compared.push(await compareExchange(queue, spec));
  for (const spec of topology.queues ?? []) compared.push(await compareQueue(queue, spec));
  return [...compared, ...(await compareBindings(topology, management))];
}

async function compareQueue({ admin }: InstanceQueue, spec: QueueSpec): Promise<TopologyComparison> {
  const { name } = spec;
  const declared = queueArguments(spec);
  return compare('queue', spec, {
    exists: async () => (await admin.inspect(name)) !== undefined,
    flags: { durable: declared.durable, auto_delete: declared.autoDelete },
    args: declared.arguments,
    declare: ({ durable, auto_delete }, args) =>
      admin.declare({
        queues: [
          {
            name,
            exclusive: declared.exclusive,
            durable: durable === true,
            autoDelete: auto_delete === true,
            arguments: args,
          },
        ],
      }),
  });
}

async function compareExchange({ admin }: InstanceQueue, spec: ExchangeSpec): Promise<TopologyComparison> {
  const { name } = spec;
  const { type, durable, autoDelete, internal, arguments: args } = exchangeArguments(spec);
  return compare('exchange', spec, {
    exists: () => found(admin.declare({ exchanges: [{ name, type, passive: true }] })),
    flags: { type, durable, auto_delete: autoDelete, internal },
    args,
    declare: (flags, table) =>
      admin.declare({
        exchanges: [
          {
            name,
            type: String(flags['type']),
            durable: flags['durable'] === true,
            autoDelete: flags['auto_delete'] === true,
            internal: flags['internal'] === true,
            arguments: table,
          },
        ],
      }),
  });
}

async function found(asked: Promise<void>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    if (error instanceof ChannelError && error.replyCode === 404) return false;
    throw error;
  }
}

type Flags = Readonly<Record<string, boolean | string | undefined>>;

interface Declaration {
  readonly exists: () => Promise<boolean>;
  readonly flags: Flags;
  readonly args: Arguments;
  readonly declare: (flags: Flags, args: Arguments) => Promise<void>;
}

/** Declares it again and again, each time with the next property as the broker has it, until the broker has nothing to object. */
async function compare(
  kind: 'exchange' | 'queue',
  { name, passive }: QueueSpec | ExchangeSpec,
  { exists, declare, ...declared }: Declaration,
): Promise<TopologyComparison> {
  const details: string[] = [];
  const unknown: string[] = [];
  const objections = new Set<string>();
  const result = (state: TopologyComparison['state']): TopologyComparison => ({
    kind,
    name,
    state,
    details: [...details, ...unknown],
  });
  let { flags, args } = declared;
  try {
    if (!(await exists())) return result('missing');
    for (let tries = 0; passive !== true && tries < TRIES; tries++) {
      const refused = await refusal(declare(flags, args));
      if (!refused) break;
      const { property, received, current } = refused;
      if (objections.has(property)) {
        unknown.push('what else differs is unknown: the broker refuses what it says is there');
        break;
      }
      objections.add(property);
      details.push(`${property}: ${shown(received)} is declared, ${shown(current)} is there`);
      if (Object.hasOwn(flags, property)) flags = { ...flags, [property]: flag(current) };
      else args = withArgument(args, property, current);
    }
    const open = passive === true ? [] : Object.keys(declared.args).filter((argument) => !COMPARED.has(argument));
    for (const argument of open) {
      // What is compared is missed.
      const { [argument]: _, ...others } = args;
      const refused = await refusal(declare(flags, others)).catch(unlessLost);
      if (refused?.property !== argument) unknown.push(`${argument}: the broker does not compare it`);
    }
  } catch (error) {
    if (error instanceof ConnectionError) throw error;
    unknown.push(sentenceOf(error));
  }
  return result(details.length > 0 ? 'different' : unknown.length > 0 ? 'unknown' : 'same');
}

/** A declaration without an argument may be refused for itself. */
function unlessLost(error: unknown): undefined {
  if (error instanceof ConnectionError) throw error;
  return undefined;
}

interface Difference {
  readonly property: string;
  /** What was declared, and what is there, in the broker's words. */
  readonly received: string;
  readonly current: string;
}

/** The property that differs. Undefined: nothing does. */
async function refusal(asked: Promise<void>): Promise<Difference | undefined> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    const match = INEQUIVALENT.exec(sentenceOf(error));
    if (!match) throw error;
    const [, property = '', received = '', current = ''] = match;
    return { property, received, current };
  }
}

/** `none`, `'true'`, `the value '5' of type 'byte'` */
const valueIn = (words: string): string | undefined => /^(?:the value )?'(.*?)'(?: of type '\w+')?$/s.exec(words)?.[1];
/** An empty name is shown in quotes: it would look like a gap. */
const shown = (words: string): string => (valueIn(words) ?? (words === 'none' ? 'nothing' : words)) || `''`;

function flag(words: string): boolean | string {
  const value = valueIn(words) ?? words;
  return value === 'true' || value === 'false' ? value === 'true' : value;
}

function withArgument(args: Arguments, name: string, words: string): Arguments {
  const value = valueIn(words);
  const { [name]: declared, ...others } = args;
  if (value === undefined) return others;
  // Where both have the argument, the broker tells no types: it is of the type that is declared.
  const type = /of type '(\w+)'$/.exec(words)?.[1] ?? TYPES[typeof declared] ?? 'longstr';
  if (type === 'bool') return { ...others, [name]: value === 'true' };
  return { ...others, [name]: type === 'longstr' ? value : Number(value) };
}

const TYPES: Readonly<Record<string, string>> = { boolean: 'bool', number: 'long', string: 'longstr' };

async function compareBindings(
  { exchanges = [], queues = [], bindings = [] }: Topology,
  management: Management | undefined,
): Promise<readonly TopologyComparison[]> {
  const entry = (name: string, state: TopologyComparison['state'], ...details: string[]): TopologyComparison => ({
    kind: 'binding',
    name,
    state,
    details,
  });
  if (!management) {
    const why = 'AMQP does not tell bindings: they are read from the management API';
    return bindings.map((binding) => entry(nameOf(listed(binding)), 'unknown', why));
  }
  const compared: TopologyComparison[] = [];
  const declared = bindings.map(listed);
  const ours = new Set(queues.map(({ name }) => name));
  const sources = new Set([...exchanges.map(({ name }) => name), ...bindings.map(({ exchange }) => exchange)]);
  for (const source of sources) {
    const wanted = declared.filter((binding) => binding.source === source);
    try {
      const there = await management.bindingsFrom(source);
      for (const binding of wanted) compared.push(entry(nameOf(binding), isIn(there, binding) ? 'same' : 'missing'));
      const extra = there.filter(
        (binding) => binding.destinationType === 'queue' && ours.has(binding.destination) && !isIn(declared, binding),
      );
      for (const binding of extra) compared.push(entry(nameOf(binding), 'extra'));
    } catch (error) {
      for (const binding of wanted) compared.push(entry(nameOf(binding), 'unknown', sentenceOf(error)));
    }
  }
  return compared;
}

const listed = ({ exchange, routingKey = '', ...to }: BindingSpec): ListedBinding => ({
  source: exchange,
  destination: to.queue ?? to.toExchange,
  destinationType: to.queue === undefined ? 'exchange' : 'queue',
  routingKey,
  arguments: to.arguments ?? {},
});

const nameOf = ({ source, destination, routingKey }: ListedBinding): string =>
  `${source} → ${destination}${routingKey === '' ? '' : ` (${routingKey})`}`;

const keyOf = (binding: ListedBinding): string => {
  const args = Object.entries(binding.arguments).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([binding.source, binding.destinationType, binding.destination, binding.routingKey, args]);
};

const isIn = (all: readonly ListedBinding[], binding: ListedBinding): boolean =>
  all.some((one) => keyOf(one) === keyOf(binding));
