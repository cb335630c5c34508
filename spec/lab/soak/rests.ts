import type { Broker } from '../../../compose/broker';
import { eventually } from '../../support/waiting';
import { footprint, grown, type Footprint } from './footprint';
import type { Service } from './service';

/** ms for timers of the last recovery and of past deadlines to end, and for the broker to remove dead connections. */
const SETTLE = 150_000;
/** Bytes by which the heap may differ between two rests, for a run of any length. */
const HEAP = 6 * 1024 * 1024;

/** Compares resources at each time of rest: they must not grow. */
export class Rests {
  readonly #broker: Broker;
  readonly #prefix: string;
  readonly #services: readonly Service[];
  readonly #seen: Footprint[] = [];

  /** `prefix`: the common prefix of the names of the services. */
  constructor(broker: Broker, prefix: string, services: readonly Service[]) {
    this.#broker = broker;
    this.#prefix = prefix;
    this.#services = services;
  }

  /** The heap at each rest, bytes. */
  get heaps(): readonly number[] {
    return this.#seen.map(({ heap }) => heap);
  }

  /** Takes another sample. Returns the differences from the first one. */
  async look(): Promise<string[]> {
    let now = await footprint(this.#broker, this.#prefix);
    const base = {
      ...(this.#seen[0] ?? now),
      connections: this.#services.flatMap(({ connections }) => connections).sort(),
    };
    const wrong: string[] = [];
    await eventually(async () => {
      // Closes sockets of the proxies that no client is connected to any more.
      for (const { proxy } of this.#services) proxy.sweep();
      now = await footprint(this.#broker, this.#prefix);
      return grown(base, now).length === 0;
    }, SETTLE).catch(() => wrong.push(...grown(base, now)));
    this.#seen.push(now);
    const more = now.heap - base.heap;
    if (more > HEAP) wrong.push(`the heap: ${base.heap} bytes at the first rest, ${more} more now`);
    return wrong;
  }
}
