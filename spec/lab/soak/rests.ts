import type { Broker } from '../../../compose/broker';
import { eventually } from '../../support/waiting';
import { footprint, grown, type Footprint } from './footprint';
import type { Service } from './service';

/** ms for the timers of the last recovery and of deadlines long met to run out, and for the broker to forget. */
const SETTLE = 150_000;
/** Bytes by which the heap may differ between two rests, whatever the length of the run. */
const HEAP = 6 * 1024 * 1024;

/** Looks at what there is each time when nothing happens: it must not become more. */
export class Rests {
  readonly #broker: Broker;
  readonly #prefix: string;
  readonly #services: readonly Service[];
  readonly #seen: Footprint[] = [];

  /** `prefix`: of the names of the services. */
  constructor(broker: Broker, prefix: string, services: readonly Service[]) {
    this.#broker = broker;
    this.#prefix = prefix;
    this.#services = services;
  }

  /** Bytes, at each rest. */
  get heaps(): readonly number[] {
    return this.#seen.map(({ heap }) => heap);
  }

  /** One more; gives what is not as it was at the first. */
  async look(): Promise<string[]> {
    let now = await footprint(this.#broker, this.#prefix);
    const base = {
      ...(this.#seen[0] ?? now),
      connections: this.#services.flatMap(({ connections }) => connections).sort(),
    };
    const wrong: string[] = [];
    await eventually(async () => {
      // Sockets of the proxies' own, of which no client has the other end any more.
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
