import type { Role } from 'instance-queue';
import type { FaultProxy } from 'instance-queue/testing';

/** Finds the links of each connection in a proxy by the name that a connection sends when it opens. */
export class LinkRoles {
  readonly #links: Readonly<Record<Role, Set<number>>> = { producer: new Set(), consumer: new Set() };
  readonly #proxy: FaultProxy;

  constructor(proxy: FaultProxy, name: string) {
    this.#proxy = proxy;
    const known = new Set<number>();
    proxy.onBytes((direction, chunk, link) => {
      if (direction !== 'toBroker' || known.has(link)) return;
      for (const role of ['producer', 'consumer'] as const) {
        if (!chunk.includes(`${name}.${role}`)) continue;
        known.add(link);
        this.#links[role].add(link);
      }
    });
  }

  /** Resets the links of this role and leaves the others up. Returns how many. */
  cut(role: Role): number {
    return this.#proxy.cut(this.#links[role]);
  }
}
