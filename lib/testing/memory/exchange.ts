import { isDeepStrictEqual } from 'node:util';
import type { Arguments } from '../../properties';
import type { ExchangeDeclaration } from '../../topology-arguments';
import { describeField, sameField } from './field-table';
import { unknownTypeCode } from './generation';
import { Refusal } from './refusal';

/** Where a binding leads. */
export type Destination = { readonly queue: string } | { readonly exchange: string };

/** From an exchange to a queue, or to another exchange. */
export interface Binding {
  readonly to: Destination;
  readonly routingKey: string;
  readonly arguments: Arguments;
}

/** What exchanges look at. */
interface Routed {
  readonly routingKey: string;
  readonly headers: Arguments;
}
type Match = (binding: Bound, message: Routed, words: readonly string[]) => boolean;

/** A binding, and the words of its key. */
interface Bound extends Binding {
  readonly pattern: readonly string[];
}

const MATCHES: Readonly<Record<string, Match>> = {
  direct: (binding, { routingKey }) => binding.routingKey === routingKey,
  fanout: () => true,
  topic: ({ pattern }, _, words) => topicMatches(pattern, words),
  headers: (binding, { headers }) => headersMatch(binding.arguments, headers),
};

/** One exchange and its bindings. https://www.rabbitmq.com/docs/exchanges */
export class MemoryExchange {
  readonly #match: Match;
  #bindings: Bound[] = [];

  constructor(
    readonly name: string,
    readonly declaration: ExchangeDeclaration,
    version: string,
  ) {
    const { type, arguments: args } = declaration;
    const match = MATCHES[type];
    if (!match) throw new Refusal(unknownTypeCode(version), `unknown exchange type '${type}'`);
    const alternate = args['alternate-exchange'];
    if (alternate !== undefined && typeof alternate !== 'string') {
      const { type: given } = describeField(alternate);
      throw new Refusal(406, `invalid type '${given}' for arg 'alternate-exchange' in exchange '${name}' in vhost '/'`);
    }
    this.#match = match;
  }

  /** Where messages go that no binding matches. */
  get alternate(): string | undefined {
    const alternate = this.declaration.arguments['alternate-exchange'];
    return typeof alternate === 'string' ? alternate : undefined;
  }

  bind(binding: Binding): void {
    if (this.declaration.type === 'headers') checkHeadersBinding(binding.arguments);
    if (this.#bindings.some((one) => isSame(one, binding))) return;
    this.#bindings.push({ ...binding, pattern: wordsOf(binding.routingKey) });
  }

  /** Is anything bound to it? */
  get used(): boolean {
    return this.#bindings.length > 0;
  }

  /** Removes bindings. Returns whether the exchange goes with its last one. */
  unbind(gone: (binding: Binding) => boolean): boolean {
    const left = this.#bindings.filter((binding) => !gone(binding));
    const removed = left.length < this.#bindings.length;
    this.#bindings = left;
    return removed && left.length === 0 && this.declaration.autoDelete;
  }

  /** Where a message goes from here. */
  route(message: Routed): readonly Destination[] {
    const words = wordsOf(message.routingKey);
    return this.#bindings.filter((binding) => this.#match(binding, message, words)).map(({ to }) => to);
  }
}

/** Do two bindings do the same? */
export const isSame = (one: Binding, other: Binding): boolean =>
  one.routingKey === other.routingKey &&
  isDeepStrictEqual(one.to, other.to) &&
  isDeepStrictEqual(one.arguments, other.arguments);

const wordsOf = (key: string): readonly string[] => (key === '' ? [] : key.split('.'));

/** `*` is one word, `#` any number of them. */
function topicMatches(pattern: readonly string[], words: readonly string[], at = 0, from = 0): boolean {
  const first = pattern[at];
  if (first === undefined) return from === words.length;
  if (first !== '#') {
    const word = words[from];
    return word !== undefined && (first === '*' || first === word) && topicMatches(pattern, words, at + 1, from + 1);
  }
  for (let i = from; i <= words.length; i++) if (topicMatches(pattern, words, at + 1, i)) return true;
  return false;
}

const HEADERS_MATCH = ['all', 'any', 'all-with-x', 'any-with-x'];

function checkHeadersBinding({ 'x-match': how = 'all' }: Arguments): void {
  if (HEADERS_MATCH.includes(String(how))) return;
  throw new Refusal(
    406,
    `Invalid x-match field value <<"${String(how)}">>; expected all, any, all-with-x, or any-with-x`,
  );
}

/** https://www.rabbitmq.com/docs/exchanges#headers: an argument without a value asks only whether the header is there. */
function headersMatch({ 'x-match': how = 'all', ...wanted }: Arguments, headers: Arguments): boolean {
  const withX = String(how).endsWith('-with-x');
  const counted = Object.entries(wanted).filter(([name]) => withX || !name.startsWith('x-'));
  const fits = ([name, value]: [string, unknown]): boolean =>
    Object.hasOwn(headers, name) && (value === null || sameField(value, headers[name]));
  return String(how).startsWith('any') ? counted.some(fits) : counted.every(fits);
}
