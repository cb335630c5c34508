/**
 * Delays that the broker keeps, on any RabbitMQ from 3.10, without a plugin.
 *
 * A level is a queue in which every message waits for 2ⁿ ms, and from which the broker dead-letters it to the next. A delay is a
 * sum of such levels, so 34 queues, shared by all services of the virtual host, make every delay from 16 ms to 8 years. Since
 * all messages of a level have the same TTL they expire in order: RabbitMQ only ever expires the first of a queue.
 *
 * - levels.ts: which levels a delay takes, and what of them exists at the broker. No I/O.
 * - delayed.ts: the delay of one message: what goes to the wire at the moment at which it is published.
 * - delay-levels.ts: declares levels on a link, on demand.
 * - undelayed.ts: a message as its handler sees it, without the traces of the levels.
 *
 * A message enters at the largest level of its delay, through a fanout exchange `…N.enter` of that level alone: if the level is
 * missing the broker returns the message. What leaves level N reaches the headers exchange `…(N-1).pass`, which reads one header
 * of the message: 'wait' leads into that level's queue, 'pass' to the next `pass` exchange within the same routing, 'exit' to the
 * exit. So the routing key stays what the sender said. Every one of these exchanges has an alternate exchange: a message that
 * none of their bindings takes ends in the queue of stranded messages, and neither skips a level nor is dropped.
 *
 * This room imports connection/, transport/ and the layers below; producer/, consumer/ and retry/ import it.
 */
import { createHash } from 'node:crypto';
import { prioritySuffix, type Arguments } from '../properties';
import type { BindingSpec, ExchangeSpec, QueueSpec, Topology } from '../topology';

/** The kind of queue in which delayed messages wait. */
export type DelayKind = 'quorum' | 'classic';

/** The names of all queues and exchanges of delays begin with it. `v1` changes with the format: see the arguments of a level. */
export const PREFIX = 'instance-queue.delay.v1.';
/** The names of the headers. Without `x-`, which a headers exchange passes over. */
export const HEADER = 'iq-delay-';
export const TO = `${HEADER}to`;
export const EXCHANGE = `${HEADER}exchange`;
export const EXPIRATION = `${HEADER}expiration`;

/** The exponents of the smallest and the largest level. */
export const LOWEST = 4;
export const HIGHEST = 37;
/** ms; the longest delay: 8 years and 8 months. */
export const LONGEST_DELAY = 2 ** (HIGHEST + 1) - 2 ** 10;

/** The levels that a message passes through, largest first. */
export interface Plan {
  readonly levels: readonly number[];
  readonly top: number;
  readonly bottom: number;
}

/**
 * The resolution of a delay, as an exponent: 16 ms up to a second, then 1/64 of the delay, 512 ms at most; 1024 ms above 70 minutes.
 * It bounds the number of levels: 7 up to a minute, 13 for an hour, 17 for a day, 28 for 8 years.
 */
export const resolutionOf = (delay: number): number =>
  Math.min(Math.max(Math.floor(Math.log2(delay)) - 6, LOWEST), delay < 2 ** 22 ? 9 : 10);

/** The levels whose sum is this delay, rounded up to its resolution. @param delay - ms, above 0 */
export function planOf(delay: number): Plan {
  const unit = 2 ** resolutionOf(delay);
  const rounded = Math.min(Math.ceil(delay / unit) * unit, LONGEST_DELAY);
  const levels: number[] = [];
  // Beyond 32 bits, so without bitwise operators.
  for (let level = HIGHEST; level >= LOWEST; level--) {
    if (Math.floor(rounded / 2 ** level) % 2 === 1) levels.push(level);
  }
  const [top = LOWEST] = levels;
  return { levels, top, bottom: levels.at(-1) ?? top };
}

/** The levels of one kind. In quorum queues each priority has a set of its own; classic ones without a `maxPriority` know none. */
export function setOf(kind: DelayKind, priority: number | undefined): string {
  return `${PREFIX}${kind}${kind === 'quorum' ? prioritySuffix(priority) : ''}`;
}

/** Where messages enter a level. */
export const entryOf = (set: string, level: number): string => `${set}.${String(level)}.enter`;
const passOf = (set: string, level: number): string => `${set}.${String(level)}.pass`;
const headerOf = (level: number): string => `${HEADER}${String(level)}`;

/** The headers that lead a message through the levels of its plan. */
export function levelHeaders({ levels, top, bottom }: Plan): Arguments {
  const headers: Record<string, string> = {};
  for (let level = top - 1; level >= bottom; level--)
    headers[headerOf(level)] = levels.includes(level) ? 'wait' : 'pass';
  headers[headerOf(bottom - 1)] = 'exit';
  return headers;
}

/** How messages of this kind wait: an at-least-once dead letter leaves its queue once the next queue has confirmed it. */
const waiting = (kind: DelayKind): Omit<QueueSpec, 'name'> =>
  kind === 'classic' ? { type: kind } : { type: kind, overflow: 'reject-publish', deadLetterStrategy: 'at-least-once' };

const exitOf = (kind: DelayKind): string => `${PREFIX}${kind}.exit`;
const queuesOf = (kind: DelayKind): string => `${PREFIX}${kind}.queues`;
/** The exchange and the queue of messages whose target, or next level, is gone. */
export const strandedOf = (kind: DelayKind): string => `${PREFIX}${kind}.stranded`;
/** The queue through which messages reach queues that go with their connection: at most once, because it must not keep them. */
const volatileOf = (kind: DelayKind): string => `${PREFIX}${kind}.volatile`;

const matching = (headers: Arguments): Pick<BindingSpec, 'arguments'> => ({
  arguments: { 'x-match': 'all', ...headers },
});

/** What every set of a kind shares: the exit, and where messages end that no binding takes. */
export function exitTopology(kind: DelayKind): Topology {
  const [exit, queues, alternateExchange] = [exitOf(kind), queuesOf(kind), strandedOf(kind)];
  return {
    exchanges: [
      { name: alternateExchange, type: 'fanout', internal: true },
      { name: exit, type: 'headers', internal: true, alternateExchange },
      { name: queues, type: 'direct', internal: true, alternateExchange },
    ],
    queues: [
      { name: alternateExchange, type: kind },
      { name: volatileOf(kind), type: kind, messageTtl: 0, deadLetter: { exchange: '' } },
    ],
    bindings: [
      { exchange: alternateExchange, queue: alternateExchange },
      { exchange: exit, toExchange: queues, ...matching({ [TO]: 'queue' }) },
      { exchange: exit, queue: volatileOf(kind), ...matching({ [TO]: 'volatile' }) },
    ],
  };
}

/** Where messages go that have left the level above this one. It leads to the exit, and to this level where there is one. */
export function passTopology(kind: DelayKind, set: string, level: number): Topology {
  const exchange = passOf(set, level);
  return {
    exchanges: [{ name: exchange, type: 'headers', alternateExchange: strandedOf(kind) }],
    bindings: [{ exchange, toExchange: exitOf(kind), ...matching({ [headerOf(level)]: 'exit' }) }],
  };
}

/** One level. It lies between two of `passTopology`. */
export function levelTopology(kind: DelayKind, set: string, level: number): Topology {
  const [pass, next] = [passOf(set, level), passOf(set, level - 1)];
  const enter: ExchangeSpec = { name: entryOf(set, level), type: 'fanout' };
  const queue: QueueSpec = {
    ...waiting(kind),
    name: `${set}.${String(level)}`,
    deadLetter: { exchange: next },
    // Beyond the range of `messageTtl`. One ms more, because a quorum queue counts from the start of the ms of arrival.
    arguments: { 'x-message-ttl': 2 ** level + 1 },
  };
  return {
    exchanges: [enter],
    queues: [queue],
    bindings: [
      { exchange: enter.name, queue: queue.name },
      { exchange: pass, queue: queue.name, ...matching({ [headerOf(level)]: 'wait' }) },
      { exchange: pass, toExchange: next, ...matching({ [headerOf(level)]: 'pass' }) },
    ],
  };
}

/** Where a delayed message goes in the end. */
export type Target = { readonly queue: string } | { readonly exchange: string };

/** Does the queue go with its connection? The broker names such queues itself. */
export const isVolatile = (queue: string): boolean => queue.startsWith('amq.');

export const targetHeaders = (target: Target, isGoing: boolean): Arguments =>
  'exchange' in target ? { [TO]: 'exchange', [EXCHANGE]: target.exchange } : { [TO]: isGoing ? 'volatile' : 'queue' };

/**
 * How the exit leads to a target.
 *
 * From classic levels the target itself is bound: when it is deleted its binding goes, and messages for it are stranded.
 *
 * From quorum levels a queue lies in between, one per target, that hands messages over at least once. A dead letter that its target
 * does not take (it is full, gone, or has no leader) stays, and 32 of them hold up all others of their queue for minutes: in a
 * level that would be those of every service.
 */
export function targetTopology(kind: DelayKind, target: Target): Topology {
  const isQueue = 'queue' in target;
  const source = isQueue
    ? { exchange: queuesOf(kind), routingKey: target.queue }
    : { exchange: exitOf(kind), ...matching(targetHeaders(target, false)) };
  if (kind === 'classic') {
    return {
      bindings: [isQueue ? { ...source, queue: target.queue } : { ...source, toExchange: target.exchange }],
    };
  }
  const landing: QueueSpec = { ...waiting(kind), name: landingOf(target), messageTtl: 0, deadLetter: target };
  return { queues: [landing], bindings: [{ ...source, queue: landing.name }] };
}

/** Bytes of a target's name; longer ones are replaced by a hash, so that the name of the queue fits into 255 bytes. */
const LONGEST_NAME = 200;

/** The queue through which messages from quorum levels reach a target. */
export function landingOf(target: Target): string {
  const isQueue = 'queue' in target;
  const name = isQueue ? target.queue : target.exchange;
  const stem = Buffer.byteLength(name) <= LONGEST_NAME ? name : createHash('sha256').update(name).digest('hex');
  return `${PREFIX}quorum.to-${isQueue ? 'queue' : 'exchange'}.${stem}`;
}
