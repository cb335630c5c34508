import { createHash } from 'node:crypto';
import { filter, map, throwIfEmpty } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError } from '../errors';
import { prioritySuffix } from '../properties';
import type { QueueSpec } from '../topology';
import type { Link } from '../transport/transport';
import { firstUnlessAborted } from '../reactive/abort';

/** Where failed messages wait: in a queue of this kind beside their own, or in their own. */
export type WaitIn = 'classic' | 'quorum' | 'queue';

/** ms that an unused wait queue stays, beyond its delay. Its lease is renewed when half of this has passed. */
const LEASE = 600_000;
/** Bytes. Longer names are replaced by a hash, so that the name of the wait queue fits into 255 bytes. */
const LONGEST_NAME = 200;

/**
 * The queue in which failed messages of one queue wait for one delay, and from which the broker returns them to that queue
 * alone. All its messages have the same TTL and, in a quorum queue, the same `priority`, so they expire in order: RabbitMQ only
 * ever expires the first of a queue.
 *
 * Not the levels of delay/, which all services share: when something fails downstream, every message is retried at once, and the
 * delays of all others would be late behind that flood. Here it is one hop instead of several, of exactly the delay, and the queue
 * is known by its name in `x-death` and in permissions.
 *
 * Classic by default: an unused one expires (`x-expires`), and declaring it again renews that lease. RabbitMQ does not renew
 * the lease of a quorum queue (seen on 3.10; https://www.rabbitmq.com/docs/quorum-queues#feature-matrix), so a quorum queue
 * gets none and stays. It hands its messages back at least once.
 */
export function waitQueue(origin: string, delay: number, kind: Exclude<WaitIn, 'queue'>, priority?: number): QueueSpec {
  const name = `${stem(origin)}.retry.${String(delay)}`;
  const returning = { durable: true, messageTtl: delay, deadLetter: { queue: origin } };
  if (kind === 'classic') return { ...returning, name, type: 'classic', expires: delay + LEASE };
  return {
    ...returning,
    name: `${name}.quorum${prioritySuffix(priority)}`,
    type: 'quorum',
    overflow: 'reject-publish',
    deadLetterStrategy: 'at-least-once',
  };
}

/** The prefix `amq.` is reserved: the broker refuses to declare such names for its clients. */
function stem(origin: string): string {
  const free = origin.replace(/^amq\./, '');
  return Buffer.byteLength(free) <= LONGEST_NAME ? free : createHash('sha256').update(origin).digest('hex');
}

/** A wait queue exists on this link, and will until its lease ends. */
export interface Lease {
  readonly link: Link;
  /** When the broker may delete it unless the lease is renewed; monotonic, ms. Infinity: never. */
  readonly until: number;
  /** When to renew. */
  readonly renewAt: number;
}

/**
 * Declares wait queues, and declares them again in time: that renews their lease, which publishing does not. When a lease
 * ends, the broker deletes the queue with the messages in it. https://www.rabbitmq.com/docs/ttl#queue-ttl
 */
export class WaitQueues {
  readonly #core: ConnectionCore;
  readonly #leases = new Map<string, Lease>();
  readonly #declaring = new Map<string, { readonly link: Link; readonly lease: Promise<Lease> }>();

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** Resolves when the queue exists and has at least half of its lease left. Rejects: as the broker refuses, or aborted. */
  async hold(spec: QueueSpec, signal: AbortSignal): Promise<Lease> {
    const link = await this.#link(signal);
    const held = this.#leases.get(spec.name);
    // After a suspend the monotonic clock may be behind, but then the link is lost as well.
    if (held?.link === link && performance.now() < held.renewAt) return held;
    let declaring = this.#declaring.get(spec.name);
    if (declaring?.link !== link) {
      declaring = { link, lease: this.#declare(link, spec) };
      this.#declaring.set(spec.name, declaring);
      void this.#keep(spec, declaring.lease);
    }
    // A broker that blocks the connection does not answer until it unblocks.
    return firstUnlessAborted(declaring.lease, signal);
  }

  /** The queue turned out to be missing. */
  forget({ name }: QueueSpec): void {
    this.#leases.delete(name);
  }

  /** Remembers the outcome. A failure is reported by `hold`. */
  async #keep({ name }: QueueSpec, declaring: Promise<Lease>): Promise<void> {
    try {
      const lease = await declaring;
      if (this.#declaring.get(name)?.lease === declaring) this.#leases.set(name, lease);
    } catch {
      // The lease before, if there is one, is due to be renewed or of another link.
    }
    if (this.#declaring.get(name)?.lease === declaring) this.#declaring.delete(name);
  }

  async #declare(link: Link, spec: QueueSpec): Promise<Lease> {
    // Taken before the request: the broker starts counting some time after that.
    const began = performance.now();
    try {
      await link.declare({}, spec);
    } catch (error) {
      // This user may publish to the queue but not declare it. If it does not exist either, the copy comes back.
      if (!(error instanceof ChannelError && error.replyCode === 403)) throw error;
      return { link, until: Infinity, renewAt: Infinity };
    }
    const { expires, messageTtl = 0 } = spec;
    if (expires === undefined) return { link, until: Infinity, renewAt: Infinity };
    return { link, until: began + expires, renewAt: began + (expires - messageTtl) / 2 };
  }

  /** The present link, or the next. */
  async #link(signal: AbortSignal): Promise<Link> {
    this.#core.open();
    const link$ = this.#core.up$.pipe(
      map((up) => up?.link),
      filter((link): link is Link => link !== undefined && !link.lost),
      throwIfEmpty(() => this.#core.closedError()),
    );
    return firstUnlessAborted(link$, signal);
  }
}
