import type { Arguments } from '../../properties';
import { Refusal } from './refusal';

/** From an exchange to a queue, or to another exchange. */
export interface Binding {
  readonly to: { readonly queue: string } | { readonly exchange: string };
  readonly routingKey: string;
  readonly arguments: Arguments;
}
interface Routed {
  readonly routingKey: string;
  readonly headers: Arguments;
}
type Match = (binding: Binding, message: Routed) => boolean;

const MATCHES: Readonly<Record<string, Match>> = {
  direct: (binding, { routingKey }) => binding.routingKey === routingKey,
  fanout: () => true,
  topic: (binding, { routingKey }) => topicMatches(binding.routingKey.split('.'), routingKey.split('.')),
  headers: ({ arguments: { 'x-match': how = 'all', ...wanted } }, { headers }) => {
    const fits = ([name, value]: [string, unknown]): boolean => headers[name] === value;
    const all = Object.entries(wanted).filter(([name]) => !name.startsWith('x-'));
    return how === 'any' ? all.some(fits) : all.every(fits);
  },
};

export interface ExchangeFacts {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly alternate: string | undefined;
}

/** One exchange, and what is bound to it. */
export class MemoryExchange {
  readonly #match: Match;
  readonly #bindings: Binding[] = [];

  constructor(
    readonly name: string,
    readonly type: string,
    readonly facts: ExchangeFacts,
  ) {
    const match = MATCHES[type];
    if (!match) throw new Refusal(406, `unknown exchange type '${type}'`);
    this.#match = match;
  }

  bind(binding: Binding): void {
    const key = JSON.stringify(binding);
    if (!this.#bindings.some((one) => JSON.stringify(one) === key)) this.#bindings.push(binding);
  }

  /** Forgets the bindings to a queue. Is that the end of it? */
  unbind(queue: string): boolean {
    const left = this.#bindings.filter(({ to }) => !('queue' in to && to.queue === queue));
    const gone = left.length < this.#bindings.length;
    this.#bindings.splice(0, this.#bindings.length, ...left);
    return gone && left.length === 0 && this.facts.autoDelete;
  }

  /** Where a message goes from here. */
  route(message: Routed): readonly Binding['to'][] {
    return this.#bindings.filter((binding) => this.#match(binding, message)).map(({ to }) => to);
  }
}

/** `*` is one word, `#` any number of them. */
function topicMatches([first, ...pattern]: readonly string[], words: readonly string[]): boolean {
  if (first === undefined) return words.length === 0;
  if (first === '#') return words.some((_, i) => topicMatches(pattern, words.slice(i))) || topicMatches(pattern, []);
  const [word, ...rest] = words;
  return word !== undefined && (first === '*' || first === word) && topicMatches(pattern, rest);
}
