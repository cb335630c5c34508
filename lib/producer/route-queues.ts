import type { ConnectionCore } from '../connection/connection-core';
import { ensureDeadLetterQueues, ensureQueue } from '../connection/declare';
import { queueNamed, type Topology } from '../topology';
import type { PublishingChannel } from './publishing-channel';

/** A queue whose declaration closed this many connections is declared no more: the first may have been a neighbour's doing. */
const STRIKES = 2;

/** Makes sure that the queue of a `queue` route exists before anything is sent to it, once per channel. */
export class RouteQueues {
  readonly #core: ConnectionCore;
  readonly #topology: () => Topology;
  /** How often the broker closed the connection while a queue was being ensured. */
  readonly #strikes = new Map<string, number>();

  constructor(core: ConnectionCore, topology: () => Topology) {
    this.#core = core;
    this.#topology = topology;
  }

  /** Does this queue have to be ensured on this channel? */
  needs(publishing: PublishingChannel, queue: string | undefined): queue is string {
    return queue !== undefined && !publishing.ensured.has(queue) && !queue.startsWith('amq.');
  }

  /** Never rejects: a queue that cannot be declared may be there all the same, and if it is not, the message comes back. */
  async ensure(publishing: PublishingChannel, queue: string): Promise<void> {
    const { link } = publishing;
    const spec = queueNamed(this.#topology(), queue);
    publishing.ensuring = queue;
    try {
      // An exclusive queue belongs to the connection that declares it first, and that must be its consumer's.
      if (this.#mayDeclare(queue) && spec?.exclusive !== true) {
        if (spec) {
          await ensureDeadLetterQueues(this.#core, link, {}, spec, this.#topology());
          await link.declare({}, spec);
        } else await ensureQueue(link, queue);
        this.#strikes.delete(queue);
      }
    } catch (err) {
      // In use or not ours to declare (403, 405); or the broker closed the whole connection over it.
      if (!link.lost) this.#core.log.warn({ err, queue }, 'cannot ensure the queue of a route: trusted');
      else if (link.lost.replyCode !== undefined) this.#strike(queue, err);
    }
    publishing.ensured.add(queue);
    publishing.ensuring = undefined;
  }

  #mayDeclare(queue: string): boolean {
    return !this.#core.channelsLimited && (this.#strikes.get(queue) ?? 0) < STRIKES;
  }

  #strike(queue: string, err: unknown): void {
    const strikes = (this.#strikes.get(queue) ?? 0) + 1;
    this.#strikes.set(queue, strikes);
    if (strikes === STRIKES) {
      this.#core.log.error({ err, queue }, 'the broker closes the connection over the queue of a route: trusted');
    }
  }
}
