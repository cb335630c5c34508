import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError, InstanceQueueError } from '../errors';
import { mergeTopologies, type Topology } from '../topology';
import type { Link } from '../transport/transport';
import type { Delayed, Wire } from './delayed';
import {
  LONGEST_DELAY,
  PREFIX,
  exitTopology,
  isVolatile,
  levelTopology,
  passTopology,
  resolutionOf,
  targetTopology,
  type Plan,
  type Target,
} from './levels';

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const [ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED] = [403, 404, 405, 406];

/** What is known to exist on one link. */
interface Standing {
  /** The levels of each set. */
  readonly sets: Map<string, Set<number>>;
  /** Queues and exchanges that the exit leads to, by kind and name. */
  readonly targets: Set<string>;
  /** Queues that cannot be bound: exclusive to another connection, or missing, and the sender does not mind. */
  readonly volatile: Set<string>;
  /** The kinds whose exit is there. */
  readonly exits: Set<string>;
}

/** Shared by all producers of a connection. A new link begins anew: it may lead to another broker. */
const standings = new WeakMap<Link, Standing>();

function standingOn(link: Link): Standing {
  let standing = standings.get(link);
  if (!standing) {
    standing = { sets: new Map(), targets: new Set(), volatile: new Set(), exits: new Set() };
    standings.set(link, standing);
  }
  return standing;
}

/** Is it an exchange of delays? */
export const isOfDelays = (name: string): boolean => name.startsWith(PREFIX);

/** Something of the delays turned out to be missing: everything is declared again before the next delayed message. */
export function forgetDelays(link: Link): void {
  standings.delete(link);
}

/** The target of a delayed message does not exist. */
export class MissingTarget extends ChannelError {
  readonly isQueue: boolean;

  constructor(target: Target) {
    super(`There is no ${'queue' in target ? 'queue' : 'exchange'} \`${nameOf(target)}\`.`, { replyCode: NOT_FOUND });
    this.isQueue = 'queue' in target;
  }
}

/** Is it of no use to try again? Unlike a node that is down, or a quorum that is missing, this does not mend itself. */
export const isFinal = (refusal: InstanceQueueError): boolean =>
  refusal instanceof MissingTarget || refusal.replyCode === PRECONDITION_FAILED;

/** How much a producer knows of a target. */
export interface Knowledge {
  /** Refuse a target that is missing. */
  readonly mandatory: boolean;
  /** It was declared, or has to be trusted. */
  readonly isEnsured: boolean;
}

/** Declares levels and the ways to targets, once per link and as messages need them. */
export class DelayLevels {
  readonly #core: Pick<ConnectionCore, 'warnOnce'>;

  constructor(core: Pick<ConnectionCore, 'warnOnce'>) {
    this.#core = core;
  }

  /** Undefined: everything that the message needs is there, or it does not wait. Never rejects: `refusal` says what went wrong. */
  ensure(link: Link, delayed: Delayed, knowledge: Knowledge): Promise<void> | undefined {
    const { plan, kind, set, target } = delayed;
    if (plan === undefined || delayed.refusal !== undefined) return undefined;
    const { sets, targets } = standingOn(link);
    const standing = sets.get(set);
    const missing = levelsOf(plan).filter((level) => standing?.has(level) !== true);
    const isReady = targets.has(keyOf(kind, target));
    if (missing.length === 0 && isReady) return undefined;
    return this.#declare(link, delayed, missing, isReady, knowledge);
  }

  /** What goes to the wire now. */
  wire(link: Link, delayed: Delayed): Wire {
    const { target, plan } = delayed;
    return delayed.wire(plan, 'queue' in target && isGoing(link, target.queue));
  }

  async #declare(
    link: Link,
    delayed: Delayed,
    missing: readonly number[],
    isReady: boolean,
    { mandatory, isEnsured }: Knowledge,
  ): Promise<void> {
    const standing = standingOn(link);
    const { kind, set, target } = delayed;
    try {
      if (missing.length > 0) {
        if (!standing.exits.has(kind)) await this.#ask(link, exitTopology(kind));
        standing.exits.add(kind);
        await this.#ask(link, levelsTopology(delayed, missing));
        let levels = standing.sets.get(set);
        if (!levels) standing.sets.set(set, (levels = new Set()));
        for (const level of missing) levels.add(level);
      }
      if (!isReady) {
        const obstacle = mandatory ? await obstacleTo(link, target) : undefined;
        if (obstacle === 'missing' && !isEnsured) throw new MissingTarget(target);
        if (obstacle === 'locked') standing.volatile.add(nameOf(target));
        await this.#lead(link, delayed);
        standing.targets.add(keyOf(kind, target));
      }
    } catch (error) {
      // On a lost link the message is not written, and on the next all is tried again.
      if (!link.lost && error instanceof InstanceQueueError) delayed.refusal = error;
      else if (!(error instanceof InstanceQueueError)) throw error;
    }
  }

  /** Makes the exit lead to the target. */
  async #lead(link: Link, { kind, target }: Delayed): Promise<void> {
    if ('queue' in target && isGoing(link, target.queue)) return;
    try {
      await this.#ask(link, targetTopology(kind, target));
    } catch (error) {
      const code = error instanceof ChannelError ? error.replyCode : undefined;
      if (code !== RESOURCE_LOCKED && code !== NOT_FOUND) throw error;
      if (!('queue' in target)) throw new MissingTarget(target);
      if (kind === 'quorum') throw error;
      standingOn(link).volatile.add(target.queue);
    }
  }

  /** Rejects: ChannelError, except for a missing permission: what this user must not declare may be there. */
  async #ask(link: Link, topology: Topology): Promise<void> {
    try {
      await link.declare(topology);
    } catch (error) {
      if (!(error instanceof ChannelError && error.replyCode === ACCESS_REFUSED)) throw error;
      this.#core.warnOnce('delays', { err: error }, 'cannot declare the queues and exchanges of delays: trusted');
    }
  }
}

/** Does the queue go with its connection? */
const isGoing = (link: Link, queue: string): boolean => isVolatile(queue) || standingOn(link).volatile.has(queue);

const nameOf = (target: Target): string => ('queue' in target ? target.queue : target.exchange);

const keyOf = (kind: string, target: Target): string =>
  'queue' in target ? `${kind} queue ${target.queue}` : `${kind} exchange ${target.exchange}`;

/** Every level that a message may need from now on, as its time passes until it is written. */
function levelsOf({ top }: Plan): readonly number[] {
  const bottom = resolutionOf(Math.min(2 ** top, LONGEST_DELAY));
  return Array.from({ length: top - bottom + 1 }, (_, i) => bottom + i);
}

/** The levels, from below, because each leads to the one below it. */
function levelsTopology({ kind, set }: Delayed, levels: readonly number[]): Topology {
  const parts = levels.flatMap((level) => [
    passTopology(kind, set, level - 1),
    passTopology(kind, set, level),
    levelTopology(kind, set, level),
  ]);
  return parts.reduce(mergeTopologies);
}

/** Undefined: it is there, or has to be trusted. `locked`: a queue of another connection. Rejects: ChannelError. */
export async function obstacleTo(link: Link, target: Target): Promise<'missing' | 'locked' | undefined> {
  try {
    if ('queue' in target) return (await link.check(target.queue)) === 'missing' ? 'missing' : undefined;
    await link.declare({ exchanges: [{ name: target.exchange, type: 'direct', passive: true }] });
    return undefined;
  } catch (error) {
    const code = error instanceof ChannelError ? error.replyCode : undefined;
    if (code === NOT_FOUND) return 'missing';
    if (code === RESOURCE_LOCKED) return 'locked';
    if (code === ACCESS_REFUSED) return undefined;
    throw error;
  }
}
