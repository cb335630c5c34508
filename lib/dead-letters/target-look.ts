import { MissingTarget, obstacleTo } from '../delay/delay-levels';
import { expected, shortString } from '../options';
import type { Link } from '../transport/transport';
import type { Target } from './dead-letter';

const short = shortString();

/** Looks once whether the queues and exchanges to which letters would go are there. */
export class TargetLook {
  readonly #link: () => Promise<Link>;
  readonly #seen = new Map<string, Promise<MissingTarget | undefined>>();

  constructor(link: () => Promise<Link>) {
    this.#link = link;
  }

  /**
   * Undefined: it is there, or nothing is known against it. Rejects: ChannelError, ConnectionError; OptionsError, if nothing can have such
   * a name: headers hold longer ones.
   */
  async missing({ exchange, routingKey }: Target): Promise<MissingTarget | undefined> {
    for (const [option, name] of Object.entries({ exchange, routingKey })) {
      const wrong = short(name);
      if (wrong !== undefined) throw expected(option, wrong, name);
    }
    const target = exchange === '' ? { queue: routingKey } : { exchange };
    const key = JSON.stringify(target);
    let seen = this.#seen.get(key);
    if (!seen) this.#seen.set(key, (seen = this.#ask(target)));
    return await seen;
  }

  async #ask(target: { readonly queue: string } | { readonly exchange: string }): Promise<MissingTarget | undefined> {
    return (await obstacleTo(await this.#link(), target)) === 'missing' ? new MissingTarget(target) : undefined;
  }
}
