import type { Role } from 'instance-queue';
import type { FaultProxy } from 'instance-queue/testing';

/** Which link of a proxy belongs to which of the two connections: each tells the broker its name when it opens. */
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

  /** RST to the links of this role, while the other's goes on. Gives how many. */
  cut(role: Role): number {
    return this.#proxy.cut(this.#links[role]);
  }
}
