import type { Codec } from './codec';
import { NotDecodable, NotEncodable } from './not-encodable';
import { near } from './options';
import {
  compareSpecificity,
  isPattern,
  overlaps,
  type IsPattern,
  type KeysLike,
  type MostSpecific,
  type Overlaps,
} from './routing-key';
import type { ExchangeSpec, QueueSpec } from './topology';

/** Where a contract keeps its codecs. */
export const CONTRACT: unique symbol = Symbol('contract');

/** The messages of an exchange: routing keys, in which `*` and `#` stand for words, and their codecs. */
export type Messages = Readonly<Record<string, Codec<unknown, never>>>;

/** The body that a codec reads. */
export type OutputOf<C> = C extends Codec<infer Out, never> ? Out : never;
/** The body that a codec writes. */
export type InputOf<C> = C extends { encode(value: infer In): unknown } ? In : never;

export type KeyOf<M extends Messages> = keyof M & string;
type PatternsFor<M extends Messages, K extends string> = {
  [P in KeyOf<M>]: IsPattern<P> extends true ? (Overlaps<P, K> extends true ? P : never) : never;
}[KeyOf<M>];
type CodecFor<M extends Messages, K extends string> =
  IsPattern<K> extends true ? never : K extends KeyOf<M> ? M[K] : M[MostSpecific<PatternsFor<M, K>>];

/** The routing keys that an exchange has messages for. */
export type RoutingKey<M extends Messages> = KeysLike<KeyOf<M>>;
/** The body to send with a routing key. Where the key is one of several, a body that fits each. */
export type BodyFor<M extends Messages, K extends string> = (
  K extends K ? (body: InputOf<CodecFor<M, K>>) => void : never
) extends (body: infer In) => void
  ? In
  : never;
/** Of the messages of an exchange, those that a binding with the key or pattern `K` can bring. */
export type BoundTo<M extends Messages, K extends string> = {
  [P in KeyOf<M>]: true extends (K extends K ? Overlaps<K, P> : never) ? P : never;
}[KeyOf<M>];

/** A key of the exchange, or any other, which `Bindable` checks. */
export type KeyLike<M extends Messages> = KeyOf<M> | (string & {});
/** A key or pattern that can bring a message; those of the exchange where it cannot, so that the compiler names them. */
export type Bindable<M extends Messages, K extends string> = K & ([BoundTo<M, K>] extends [never] ? KeyOf<M> : string);

/**
 * A queue with the codecs of its messages. Give it wherever a queue is named.
 * @typeParam In - what is sent to the queue itself; never: nothing is
 * @typeParam Out - what consumers get
 * @typeParam Reply - what a request to the queue resolves with; never: the contract says nothing about replies
 * @typeParam ReplyIn - what work returns that answers requests
 */
export interface QueueContract<
  In,
  Out = In,
  Reply = never,
  ReplyIn = [Reply] extends [never] ? unknown : Reply,
> extends QueueSpec {
  /** For the library. */
  readonly [CONTRACT]: QueueCodecs<In, Out, Reply, ReplyIn>;
}

/** What messages see of an exchange contract. */
export interface ExchangeOf<M extends Messages> extends ExchangeSpec {
  /** For the library. */
  readonly [CONTRACT]: ExchangeCodecs<M>;
}

/** An exchange with the codecs of its messages. Give it wherever an exchange is named. */
export interface ExchangeContract<M extends Messages> extends ExchangeOf<M> {
  /**
   * Messages of this exchange, for `bind` of `defineQueue`: those of these routing keys, or of patterns that match them. Without a
   * key, all of them.
   */
  on<K extends KeyLike<M> = KeyOf<M>>(...routingKeys: readonly Bindable<M, K>[]): MessageBinding<M[BoundTo<M, K>]>;
}

/** Messages of an exchange that a queue is bound to. */
export interface MessageBinding<C extends Codec<unknown, never>> {
  readonly exchange: ExchangeSpec;
  readonly routingKeys: readonly string[];
  /** For the library. */
  readonly [CONTRACT]: BoundCodecs<C>;
}

/** Any messages of any exchange. */
export type AnyBinding = MessageBinding<Codec<unknown, never>>;
/** What consumers get of what is bound. */
export type BoundOutput<B> = B extends MessageBinding<infer C> ? OutputOf<C> : never;

/** A queue that is no contract. */
export type PlainQueue = QueueSpec & { readonly [CONTRACT]?: never };
/** What work has to return that answers requests to a queue: what its contract says, if it says anything. */
export type ReplyFor<Q> = [Q] extends [QueueContract<never, unknown, unknown, infer ReplyIn>]
  ? [ReplyIn] extends [never]
    ? unknown
    : ReplyIn
  : unknown;
/** Any queue contract whose consumers get `Out`. */
export type QueueOf<Out> = QueueContract<never, Out, unknown, never>;

/** The codecs of a queue contract. */
export class QueueCodecs<In, Out, Reply, ReplyIn> {
  /** For the compiler alone. */
  declare readonly types: (body: In, reply: ReplyIn) => readonly [Out, Reply];
  /** Of messages that are sent to the queue itself. Undefined: it gets its messages from exchanges alone. */
  readonly body: Codec<unknown, unknown> | undefined;
  readonly reply: Codec<unknown, unknown> | undefined;
  readonly bindings: readonly AnyBinding[];
  readonly #name: string;
  readonly #bound = new Map<string, BoundCodecs<Codec<unknown, never>>[]>();

  constructor(name: string, { body, reply, bind = [] }: Pick<Definition, 'body' | 'reply' | 'bind'>) {
    this.#name = name;
    // What the codec takes is checked by the compiler where the contract is used, and by the codec.
    this.body = body;
    this.reply = reply;
    this.bindings = bind;
    for (const { exchange, [CONTRACT]: codecs } of bind) {
      const others = this.#bound.get(exchange.name);
      if (others) others.push(codecs);
      else this.#bound.set(exchange.name, [codecs]);
    }
  }

  /** Does the codec of a delivery depend on its routing key? */
  get routed(): boolean {
    return this.bindings.length > 0;
  }

  /** @throws NotEncodable */
  toSend(): Codec<unknown, unknown> {
    if (this.body) return this.body;
    throw new NotEncodable(
      `Queue \`${this.#name}\` gets its messages from the exchanges it is bound to: its contract has no \`body\` to send to it.`,
    );
  }

  /** The codec of a message that arrived. @throws NotDecodable */
  toRead(exchange: string, routingKey: string): Codec<unknown, unknown> {
    for (const codecs of this.#bound.get(exchange) ?? []) {
      const codec = codecs.codecOf(routingKey);
      if (codec) return codec;
    }
    if (this.body) return this.body;
    throw new NotDecodable(
      `The contract of queue \`${this.#name}\` has no message \`${routingKey}\` of exchange \`${exchange}\`.`,
    );
  }
}

/** The most routing keys whose codecs are cached. Keys may hold ids, so their number has no limit. */
const REMEMBERED = 1000;

/** The codecs of an exchange contract. */
export class ExchangeCodecs<M extends Messages> {
  readonly messages: M;
  readonly #name: string;
  readonly #exact = new Map<string, Codec<unknown, unknown>>();
  /** The more specific ones come first, and of equally specific ones that which was written first. */
  readonly #patterns: readonly (readonly [pattern: string, codec: Codec<unknown, unknown>])[];
  readonly #remembered = new Map<string, readonly [key: string, codec: Codec<unknown, unknown>] | undefined>();

  constructor(name: string, messages: M) {
    this.#name = name;
    this.messages = messages;
    const all = Object.entries(messages) as [string, Codec<unknown, unknown>][];
    for (const [key, codec] of all) if (!isPattern(key)) this.#exact.set(key, codec);
    this.#patterns = all.filter(([key]) => isPattern(key)).sort(([a], [b]) => compareSpecificity(a, b));
  }

  /** @throws NotEncodable */
  toSend(routingKey: string): Codec<unknown, unknown> {
    const codec = this.#exact.get(routingKey) ?? this.messageOf(routingKey)?.[1];
    if (codec) return codec;
    const known = Object.keys(this.messages);
    const meant = near(routingKey, known);
    throw new NotEncodable(
      `The contract of exchange \`${this.#name}\` has no message \`${routingKey}\`.` +
        `${meant === undefined ? '' : ` Did you mean \`${meant}\`?`} Its messages: ${known.join(', ')}.`,
    );
  }

  /** The entry of `messages` that a routing key belongs to. */
  messageOf(routingKey: string): readonly [key: string, codec: Codec<unknown, unknown>] | undefined {
    const exact = this.#exact.get(routingKey);
    if (exact) return [routingKey, exact];
    if (this.#patterns.length === 0) return undefined;
    if (this.#remembered.has(routingKey)) return this.#remembered.get(routingKey);
    const found = isPattern(routingKey) ? undefined : this.#patterns.find(([pattern]) => overlaps(pattern, routingKey));
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear();
    this.#remembered.set(routingKey, found);
    return found;
  }
}

/** Of the codecs of an exchange, those of some bindings. */
export class BoundCodecs<C extends Codec<unknown, never>> {
  /** For the compiler alone. */
  declare readonly types: C;
  readonly #codecs: ExchangeCodecs<Messages>;
  readonly #keys: ReadonlySet<string>;

  constructor(codecs: ExchangeCodecs<Messages>, routingKeys: readonly string[]) {
    this.#codecs = codecs;
    this.#keys = new Set(
      Object.keys(codecs.messages).filter((key) => routingKeys.some((bound) => overlaps(bound, key))),
    );
  }

  codecOf(routingKey: string): Codec<unknown, unknown> | undefined {
    const message = this.#codecs.messageOf(routingKey);
    return message && this.#keys.has(message[0]) ? message[1] : undefined;
  }
}

/** What `defineQueue` takes beside a spec. */
export interface Definition extends QueueSpec {
  readonly body?: Codec<unknown, never> | undefined;
  readonly bind?: readonly AnyBinding[] | undefined;
  readonly reply?: Codec<unknown, never> | undefined;
}

/** Any exchange contract. */
export type AnyExchangeContract = ExchangeOf<Messages>;
/** Any queue contract. */
export type AnyQueueContract = QueueContract<never, unknown, unknown, never>;
