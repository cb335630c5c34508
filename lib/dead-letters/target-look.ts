import { MissingTarget, obstacleTo } from '../delay/delay-levels';
import type { Link } from '../transport/transport';
import type { Target } from './dead-letter';

/** Looks once whether the queues and exchanges to which letters would go are there. */
export class TargetLook {
  readonly #link: () => Promise<Link>;
  readonly #seen = new Map<string, Promise<MissingTarget | undefined>>();

  constructor(link: () => Promise<Link>) {
    this.#link = link;
  }

  /** Undefined: it is there, or nothing is known against it. Rejects: ChannelError, ConnectionError. */
  missing({ exchange, routingKey }: Target): Promise<MissingTarget | undefined> {
    const target = exchange === '' ? { queue: routingKey } : { exchange };
    const key = JSON.stringify(target);
    let seen = this.#seen.get(key);
    if (!seen) this.#seen.set(key, (seen = this.#ask(target)));
    return seen;
  }

  async #ask(target: { readonly queue: string } | { readonly exchange: string }): Promise<MissingTarget | undefined> {
    return (await obstacleTo(await this.#link(), target)) === 'missing' ? new MissingTarget(target) : undefined;
  }
}
