import { isExchangeContract, isPredeclared, isQueueContract, queueCodecs, withBindings } from '../contract';
import { OptionsError, PublishError } from '../errors';
import { loggerFrom, type Logger } from '../log';
import { DEFAULTS, isObject, near } from '../options';
import type { RouteNames } from '../producer/encoded-message';
import { exchangeArguments, queueArguments } from '../topology-arguments';
import type { ExchangeSpec, QueueSpec, Topology } from '../topology';
import { checkTopology } from '../topology-checks';
import type { InstanceQueueOptions } from './instance-queue-options';

/** Queues or exchanges. */
type Kind = 'queue' | 'exchange';
/** A name in a topology, and the option that holds it. */
interface Reference {
  readonly kind: Kind;
  readonly name: string;
  readonly path: string;
}
/** The part of a message that names something. */
interface Addressed {
  readonly queue?: string | undefined;
  readonly exchange?: string | undefined;
}

/** Unknown names that are looked at, at most: names that are made at run time must take neither memory nor time. */
const REMEMBERED = 500;
/** Names that are declared and remembered, at most, unless the policy refuses all others. Beyond them no name is looked at. */
const DECLARED = 10_000;

/**
 * The queues and exchanges that a topology or a spec declares. With `names: 'declared'` no others may be named; with 'open' a name
 * that is close to a declared one is warned of, once.
 */
export class KnownNames {
  readonly #strict: boolean;
  readonly #log: () => Logger;
  readonly #known: Readonly<Record<Kind, Set<string>>> = { queue: new Set(), exchange: new Set() };
  readonly #seen: Readonly<Record<Kind, Set<string>>> = { queue: new Set(), exchange: new Set() };
  /** Names that need no look: those that are declared, and others that were looked at. */
  readonly seen: RouteNames['seen'] = this.#seen;

  /** @throws OptionsError if the topology names what it does not declare, and `policy` forbids it */
  constructor(policy: 'open' | 'declared', topology: Topology | undefined, log: () => Logger) {
    this.#strict = policy === 'declared';
    this.#log = log;
    this.declare(topology);
  }

  /** Those of an `InstanceQueue`. @throws OptionsError as the constructor does */
  static of({ name, names = DEFAULTS.names, topology, logger }: InstanceQueueOptions): KnownNames {
    return new KnownNames(names, topology, () => loggerFrom(logger, name === undefined ? {} : { connection: name }));
  }

  /** Adds what a topology declares. @throws OptionsError if it names anything unknown, and the policy forbids it */
  declare(topology: Topology | undefined, path = 'topology'): void {
    if (topology === undefined) return;
    checkTopology(topology, path);
    for (const { name } of topology.queues ?? []) this.#add('queue', name);
    for (const { name } of withBindings(topology).exchanges ?? []) this.#add('exchange', name);
    for (const reference of references(topology, path)) this.#check(reference);
  }

  /** Adds a queue that is named by its spec or contract. @throws OptionsError as `declare` */
  declareQueue(spec: QueueSpec, path: string): void {
    this.#add('queue', spec.name);
    for (const { exchange } of queueCodecs(spec)?.bindings ?? []) this.#add('exchange', exchange.name);
    for (const reference of deadLetters(spec, path)) this.#check(reference);
  }

  /** Adds an exchange that is named by its contract. @throws OptionsError as `declare` */
  declareExchange(spec: ExchangeSpec, path: string): void {
    this.#add('exchange', spec.name);
    for (const reference of alternates(spec, path)) this.#check(reference);
  }

  /** Adds the queue or exchange that a message names by its contract. @throws OptionsError as `declare` */
  learn(contract: unknown): void {
    if (isQueueContract(contract)) this.declareQueue(contract, 'queue');
    else if (isExchangeContract(contract)) this.declareExchange(contract, 'exchange');
  }

  /** Looks at names among options. @throws OptionsError if one is unknown, and the policy forbids it */
  check({ queue, exchange }: Addressed, path: string): void {
    if (queue !== undefined) this.#check({ kind: 'queue', name: queue, path });
    if (exchange !== undefined) this.#check({ kind: 'exchange', name: exchange, path });
  }

  /** Looks at the route of a message. @throws PublishError PUBLISH_INVALID if it is unknown, and the policy forbids it */
  checkMessage({ queue, exchange, messageId }: Addressed & { readonly messageId: string }): void {
    const kind = queue === undefined ? 'exchange' : 'queue';
    const name = queue ?? exchange ?? '';
    const refused = this.#lookAt(kind, name);
    if (refused !== undefined) throw new PublishError('PUBLISH_INVALID', messageId, refused);
  }

  /** The same for a request. Whether it is a message at all is checked when it is encoded. */
  checkRequest(message: unknown): void {
    const { queue, exchange, messageId } = namedIn(message);
    for (const given of [queue, exchange]) this.learn(given);
    const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
    this.checkMessage({ queue: text(queue), exchange: text(exchange), messageId: text(messageId) ?? '' });
  }

  #add(kind: Kind, name: string): void {
    const known = this.#known[kind];
    if (!this.#strict && known.size >= DECLARED) return;
    known.add(name);
    this.#seen[kind].add(name);
  }

  #check({ kind, name, path }: Reference): void {
    const refused = this.#lookAt(kind, name);
    if (refused !== undefined) throw new OptionsError(path, refused);
  }

  /** The sentence with which an unknown name is refused. */
  #lookAt(kind: Kind, name: string): string | undefined {
    const known = this.#known[kind];
    const seen = this.#seen[kind];
    if (seen.has(name) || isPredeclared(name)) return undefined;
    if (this.#strict) return refusal(kind, name, near(name, known));
    if (known.size >= DECLARED || seen.size - known.size >= REMEMBERED) return undefined;
    seen.add(name);
    const close = [...known].find((other) => isMisspelt(name, other));
    if (close !== undefined) this.#log().warn({ [kind]: name, declared: close }, WARNINGS[kind]);
    return undefined;
  }
}

/** What a request names, before it is known to be a message. */
function namedIn(message: unknown): Readonly<Partial<Record<'queue' | 'exchange' | 'messageId', unknown>>> {
  if (!isObject(message)) return {};
  try {
    const { queue, exchange, messageId } = message;
    return { queue, exchange, messageId };
  } catch {
    // A getter, which throws again where the message is copied.
    return {};
  }
}

const WARNINGS = {
  queue: 'a queue that no topology declares has nearly the name of one that is declared: misspelt?',
  exchange: 'an exchange that no topology declares has nearly the name of one that is declared: misspelt?',
} as const;

function refusal(kind: Kind, name: string, meant: string | undefined): string {
  const suggestion = meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
  return (
    `No topology and no spec declares ${kind === 'queue' ? 'queue' : 'exchange'} \`${name}\` (\`names: 'declared'\`).${suggestion}` +
    ' Declare it in a topology, with `passive: true` if others make it.'
  );
}

function references({ exchanges = [], queues = [], bindings = [] }: Topology, path: string): readonly Reference[] {
  const found: Reference[] = [];
  exchanges.forEach((spec, i) => {
    found.push(...alternates(spec, `${path}.exchanges[${String(i)}]`));
  });
  queues.forEach((spec, i) => {
    found.push(...deadLetters(spec, `${path}.queues[${String(i)}]`));
  });
  bindings.forEach(({ exchange, queue, toExchange }, i) => {
    const at = `${path}.bindings[${String(i)}]`;
    found.push({ kind: 'exchange', name: exchange, path: `${at}.exchange` });
    if (queue !== undefined) found.push({ kind: 'queue', name: queue, path: `${at}.queue` });
    else found.push({ kind: 'exchange', name: toExchange, path: `${at}.toExchange` });
  });
  return found;
}

function alternates(spec: ExchangeSpec, path: string): readonly Reference[] {
  const name = exchangeArguments(spec).arguments['alternate-exchange'];
  return typeof name === 'string' ? [{ kind: 'exchange', name, path: `${path}.alternateExchange` }] : [];
}

/** Where a queue's dead letters go: an exchange, or a queue by way of the default one. */
function deadLetters(spec: QueueSpec, path: string): readonly Reference[] {
  const table = queueArguments(spec).arguments;
  const exchange = table['x-dead-letter-exchange'];
  const routingKey = table['x-dead-letter-routing-key'];
  const at = `${path}.deadLetter`;
  if (typeof exchange !== 'string') return [];
  if (exchange !== '') return [{ kind: 'exchange', name: exchange, path: at }];
  return [{ kind: 'queue', name: typeof routingKey === 'string' ? routingKey : spec.name, path: at }];
}

/**
 * Does one name look like a slip of the other? Names that differ in digits alone are siblings, and in short names a letter more or
 * less makes another word.
 */
function isMisspelt(name: string, declared: string): boolean {
  const length = Math.max(name.length, declared.length);
  const atMost = length < 4 ? 0 : length < 8 ? 1 : 2;
  if (Math.abs(name.length - declared.length) > atMost) return false;
  const [a, b] = [plain(name), plain(declared)];
  return a === b || (near(a, [b], atMost) !== undefined && withoutDigits(a) !== withoutDigits(b));
}

const plain = (name: string): string => name.toLowerCase().replace(/[-_:/ ]/g, '.');
const withoutDigits = (name: string): string => name.replace(/\d/g, '');
