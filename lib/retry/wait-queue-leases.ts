import { filter, map, throwIfEmpty } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ChannelError } from '../errors';
import type { QueueSpec } from '../topology';
import type { Link } from '../transport/transport';
import { firstUnlessAborted } from '../reactive/abort';

/** That a queue is there, and will be until then. */
export interface Lease {
  readonly link: Link;
  /** When the broker may delete it if nobody renews; monotonic, ms. Infinity: never. */
  readonly until: number;
  /** When to renew. */
  readonly renewAt: number;
}

/**
 * Declares the queues that copies wait in, and declares them again in time: that renews their lease, which publishing
 * does not. A queue whose lease ends goes with all that is in it. https://www.rabbitmq.com/docs/ttl#queue-ttl
 */
export class WaitQueues {
  readonly #core: ConnectionCore;
  readonly #leases = new Map<string, Lease>();
  readonly #declaring = new Map<string, { readonly link: Link; readonly lease: Promise<Lease> }>();

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** Resolves when it stands, and has half of its lease before it at least. Rejects as the broker refuses, or aborted. */
  async hold(spec: QueueSpec, signal: AbortSignal): Promise<Lease> {
    const link = await this.#link(signal);
    const held = this.#leases.get(spec.name);
    // A machine that slept, and its clock with it, has lost its link.
    if (held?.link === link && performance.now() < held.renewAt) return held;
    let declaring = this.#declaring.get(spec.name);
    if (declaring?.link !== link) {
      declaring = { link, lease: this.#declare(link, spec) };
      this.#declaring.set(spec.name, declaring);
      void this.#keep(spec, declaring.lease);
    }
    // A blocked broker answers nobody: whoever has no use for it any more does not wait.
    return firstUnlessAborted(declaring.lease, signal);
  }

  /** It turned out not to be there. */
  forget({ name }: QueueSpec): void {
    this.#leases.delete(name);
  }

  /** Remembers how it went; whoever waits for it hears of a failure. */
  async #keep({ name }: QueueSpec, declaring: Promise<Lease>): Promise<void> {
    try {
      const lease = await declaring;
      if (this.#declaring.get(name)?.lease === declaring) this.#leases.set(name, lease);
    } catch {
      this.#leases.delete(name);
    }
    if (this.#declaring.get(name)?.lease === declaring) this.#declaring.delete(name);
  }

  async #declare(link: Link, spec: QueueSpec): Promise<Lease> {
    // From before: the broker counts from a moment after that.
    const began = performance.now();
    try {
      await link.declare({}, spec);
    } catch (error) {
      // Ours to use, not to declare: somebody else has made it. If not, the copy comes back.
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
