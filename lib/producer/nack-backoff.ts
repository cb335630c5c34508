import { timer, type Subscription } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { PendingSend } from './pending-send';

/** Delays between attempts on a queue route, which continue until the deadline of each message. */
const ONE_QUEUE = { min: 100, max: 5000, factor: 1.5, jitter: 0.5 };
/** Delays between attempts on an exchange route, each of which may add a copy to the queues that take it. */
const MANY_QUEUES = { min: 200, max: 5000, factor: 4, jitter: 0.5 };

/** How often a message is published again after a nack that may have left copies of it in other queues. */
export const RESENDS_TO_MANY_QUEUES = 4;

/** The messages of one route that wait for another attempt. */
interface Route {
  readonly waiting: Set<PendingSend>;
  rounds: number;
  wait: Subscription | undefined;
}

/**
 * Holds nacked messages until they are sent again. Each route has its own backoff, because a full queue says nothing about
 * another one. All messages of a route are sent again together.
 */
export class NackBackoff {
  readonly #again: (entries: readonly PendingSend[]) => void;
  readonly #routes = new Map<string, Route>();
  #size = 0;
  #bytes = 0;

  constructor(again: (entries: readonly PendingSend[]) => void) {
    this.#again = again;
  }

  get size(): number {
    return this.#size;
  }
  get all(): readonly PendingSend[] {
    return [...this.#routes.values()].flatMap(({ waiting }) => [...waiting]);
  }

  /** Of the messages that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the oldest message out, if it is older than this. */
  takeBefore(order = Infinity): PendingSend | undefined {
    let oldest: PendingSend | undefined;
    for (const entry of this.#size > 0 ? this.all : []) if (entry.order < (oldest?.order ?? order)) oldest = entry;
    if (oldest) this.delete(oldest);
    return oldest;
  }

  add(entry: PendingSend): void {
    const key = keyOf(entry);
    let route = this.#routes.get(key);
    if (!route) {
      this.#forgetIdle();
      this.#routes.set(key, (route = { waiting: new Set(), rounds: 0, wait: undefined }));
    }
    const { waiting } = route;
    waiting.add(entry);
    this.#size++;
    this.#bytes += entry.bytes;
    const backoff = entry.toOneQueue ? ONE_QUEUE : MANY_QUEUES;
    route.wait ??= timer(backoffDelay(backoff, ++route.rounds)).subscribe(() => {
      route.wait = undefined;
      const again = [...waiting];
      waiting.clear();
      for (const entry of again) this.#left(entry);
      this.#again(again);
    });
  }

  /** An entry was settled from outside. */
  delete(entry: PendingSend): void {
    if (this.#size > 0 && this.#routes.get(keyOf(entry))?.waiting.delete(entry) === true) this.#left(entry);
  }

  #left({ bytes }: PendingSend): void {
    this.#size--;
    this.#bytes -= bytes;
  }

  /** The broker confirmed a message of this route: the next delay starts from the minimum. */
  taken(entry: PendingSend): void {
    if (this.#routes.size === 0) return;
    const key = keyOf(entry);
    const route = this.#routes.get(key);
    if (!route) return;
    route.rounds = 0;
    if (route.wait === undefined) this.#routes.delete(key);
  }

  /** Cancels all timers. */
  stop(): void {
    for (const { wait } of this.#routes.values()) wait?.unsubscribe();
  }

  /** Drops routes whose messages have all been given up: there may be as many routing keys as messages. */
  #forgetIdle(): void {
    if (this.#routes.size < IDLE_ROUTES) return;
    for (const [key, { wait }] of this.#routes) if (wait === undefined) this.#routes.delete(key);
  }
}

/** From this number of routes on, those without messages are dropped. */
const IDLE_ROUTES = 64;

const keyOf = ({ message: { exchange, routingKey } }: PendingSend): string => `${exchange}\n${routingKey}`;
