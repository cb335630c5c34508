/**
 * Contracts: queues and exchanges as values that carry their names, their topology, and how bodies are written and read.
 *
 * A contract is a spec with its codecs under a symbol, so that it can be given wherever a spec can. `routing-key.ts` says which routing
 * keys a pattern matches.
 */
import type { Codec } from './codec';
import {
  type AnyBinding,
  type AnyExchangeContract,
  type AnyQueueContract,
  type Bindable,
  BoundCodecs,
  type BoundOutput,
  type BoundTo,
  CONTRACT,
  type Definition,
  ExchangeCodecs,
  type ExchangeContract,
  type KeyLike,
  type KeyOf,
  type MessageBinding,
  type Messages,
  QueueCodecs,
  type QueueContract,
} from './contract-codecs';
import { OptionsError } from './errors';
import { codec as isCodec, expected, isObject, near } from './options';
import { isPattern, overlaps } from './routing-key';
import type { BindingSpec, ExchangeSpec, QueueSpec, Topology } from './topology';
import { checkQueueSpec, checkTopology } from './topology-checks';

/**
 * A queue contract: a spec with the codec of its messages. Use the returned value wherever a queue is named; then bodies are checked by
 * the compiler, and written and read by the codec.
 *
 * `bind` declares bindings with the queue, and their exchanges: consumers get the union of what is bound, each message read by the
 * codec of its exchange and routing key. `body` is the codec of messages that are sent to the queue itself, and of any that come some other way;
 * without it these are undecodable. `reply` is the codec of replies to requests.
 *
 * @throws OptionsError if the spec cannot be right
 * @example
 * const orders = defineQueue({ name: 'orders', type: 'quorum', body: json(orderSchema) });
 * await queue.send({ queue: orders, body: { id: 1 } });
 * queue.consume({ queue: orders }).pipe(handle(({ body }) => ship(body))).subscribe({ error: console.error });
 */
export function defineQueue<In, Out = In, Reply = never, ReplyIn = unknown, Bound extends AnyBinding = never>(
  definition: QueueSpec & {
    readonly body: Codec<Out, In>;
    readonly reply?: Codec<Reply, ReplyIn>;
    readonly bind?: readonly Bound[];
  },
): QueueContract<In, Out | BoundOutput<Bound>, Reply, ReplyIn>;
/** The same for a queue that gets its messages from exchanges alone. */
export function defineQueue<Bound extends AnyBinding, Reply = never, ReplyIn = unknown>(
  definition: QueueSpec & {
    readonly body?: undefined;
    readonly reply?: Codec<Reply, ReplyIn>;
    readonly bind: readonly Bound[];
  },
): QueueContract<never, BoundOutput<Bound>, Reply, ReplyIn>;
export function defineQueue(definition: Definition): QueueContract<never, unknown, unknown> {
  if (!isObject(definition)) throw expected('defineQueue()', 'a queue spec with a `body`', definition);
  const { body, bind, reply, ...spec } = definition;
  checkQueueSpec(spec, 'queue');
  if (body === undefined && (bind === undefined || bind.length === 0))
    throw expected('body', 'a codec, unless `bind` says which messages the queue gets', body);
  for (const [option, given] of Object.entries({ body, reply })) {
    const wrong = given === undefined ? undefined : isCodec(given);
    if (wrong !== undefined) throw expected(option, wrong, given);
  }
  if (bind?.every((binding) => isObject(binding) && binding[CONTRACT] instanceof BoundCodecs) === false)
    throw expected('bind', 'an array of what `on()` of exchange contracts returns', bind);
  if (body === undefined && bind) checkReadsAll(spec.name, bind);
  return Object.freeze({ ...spec, [CONTRACT]: new QueueCodecs(spec.name, { body, bind, reply }) });
}

/** Exchanges of these types look at no routing key: whatever is bound gets every message. */
const KEYLESS: readonly string[] = ['fanout', 'headers'] satisfies ExchangeSpec['type'][];

/** Refuses a queue that would get messages it cannot read. */
function checkReadsAll(name: string, bind: readonly AnyBinding[]): void {
  for (const { exchange } of bind) {
    if (!KEYLESS.includes(exchange.type) || !isExchangeContract(exchange)) continue;
    const keys = bind.flatMap((one) => (one.exchange === exchange ? one.routingKeys : []));
    const unread = Object.keys(exchange[CONTRACT].messages).find((key) => !keys.some((bound) => overlaps(bound, key)));
    if (unread === undefined) continue;
    const sentence = `exchange \`${exchange.name}\` brings every message, whatever its key, also \`${unread}\`: it is of type ${exchange.type}. Bind it with \`on()\`, without keys.`;
    throw new OptionsError('bind', `Queue \`${name}\`: ${sentence}`);
  }
}

/**
 * An exchange contract: a spec with the codec of each routing key. Use the returned value wherever an exchange is named. Keys may hold `*`
 * (one word) and `#` (any number of words). A message belongs to its exact key, or else to the most specific pattern that matches: the
 * first word in which two patterns differ decides, a word before `*` before `#`; of equal ones the first.
 *
 * @throws OptionsError if the spec cannot be right
 * @example
 * const events = defineExchange({
 *   name: 'events',
 *   type: 'topic',
 *   messages: { 'order.paid': json(paidSchema), 'order.*.cancelled': json(cancelledSchema) },
 * });
 * const shipping = defineQueue({ name: 'shipping', bind: [events.on('order.paid')] });
 * await queue.send({ exchange: events, routingKey: 'order.de.cancelled', body: { reason: 'late' } });
 */
export function defineExchange<M extends Messages>(
  definition: ExchangeSpec & { readonly messages: M },
): ExchangeContract<M> {
  if (!isObject(definition)) throw expected('defineExchange()', 'an exchange spec with `messages`', definition);
  const { messages, ...spec } = definition;
  checkTopology({ exchanges: [spec] }, 'defineExchange()');
  if (!isObject(messages)) throw expected('messages', 'an object of routing keys and their codecs', messages);
  for (const [key, codec] of Object.entries(messages)) {
    const wrong = isCodec(codec);
    if (wrong !== undefined) throw expected(`messages['${key}']`, wrong, codec);
    if (spec.type === 'direct' && isPattern(key))
      throw new OptionsError('messages', `Exchange \`${spec.name}\` is direct and knows no patterns, got \`${key}\`.`);
  }
  return exchangeContract(spec, messages);
}

function exchangeContract<M extends Messages>(spec: ExchangeSpec, messages: M): ExchangeContract<M> {
  const codecs = new ExchangeCodecs(spec.name, messages);
  const on = <K extends KeyLike<M> = KeyOf<M>>(
    ...routingKeys: readonly Bindable<M, K>[]
  ): MessageBinding<M[BoundTo<M, K>]> => {
    const known = Object.keys(messages);
    for (const key of routingKeys) {
      if (known.some((other) => overlaps(key, other))) continue;
      const meant = near(key, known);
      const suggestion = meant === undefined ? '' : ` Did you mean \`${meant}\`?`;
      throw new OptionsError('on()', `Exchange \`${spec.name}\` has no message \`${key}\`.${suggestion}`);
    }
    const bound: readonly string[] = routingKeys.length === 0 ? known : routingKeys;
    return Object.freeze({
      exchange: contract,
      routingKeys: bound,
      [CONTRACT]: new BoundCodecs<M[BoundTo<M, K>]>(codecs, bound),
    });
  };
  // Not enumerable: it is no part of the spec.
  const contract: ExchangeContract<M> = Object.freeze(
    Object.defineProperty({ ...spec, [CONTRACT]: codecs, on }, 'on', { enumerable: false }),
  );
  return contract;
}

export const isQueueContract = (value: unknown): value is AnyQueueContract =>
  typeof value === 'object' && value !== null && Reflect.get(value, CONTRACT) instanceof QueueCodecs;
export const isExchangeContract = (value: unknown): value is AnyExchangeContract =>
  typeof value === 'object' && value !== null && Reflect.get(value, CONTRACT) instanceof ExchangeCodecs;

/** The queue of a contract by way of the default exchange, which makes no queue. https://www.rabbitmq.com/docs/exchanges#default-exchange */
export const onDefaultExchange = ({ name, [CONTRACT]: { body } }: AnyQueueContract): AnyExchangeContract =>
  exchangeContract({ name: '', type: 'direct' }, body ? { [name]: body } : {});

/** The codecs of a queue contract; undefined: it is a name, or a plain spec. */
export const queueCodecs = (queue: unknown): AnyQueueContract[typeof CONTRACT] | undefined =>
  isQueueContract(queue) ? queue[CONTRACT] : undefined;

/** A codec that was given beside a contract, which has its own. */
export const codecBesideContract = (queue: string): OptionsError =>
  new OptionsError('codec', `Expected no \`codec\`: the contract of queue \`${queue}\` says how its bodies are read.`);

/**
 * A topology with the exchanges and bindings of its queue contracts, and of `own`. Only a consumer declares a queue that the broker names.
 * Elsewhere RabbitMQ would make a queue for '' that has no consumer, and bind the queue that the channel declared last.
 */
export function withBindings(topology: Topology, own?: QueueSpec): Topology {
  const exchanges: ExchangeSpec[] = [...(topology.exchanges ?? [])];
  const bindings: BindingSpec[] = [...(topology.bindings ?? [])];
  const declared = new Set(exchanges.map(({ name }) => name));
  for (const spec of [...(topology.queues ?? []), ...(own ? [own] : [])]) {
    for (const { exchange, routingKeys } of queueCodecs(spec)?.bindings ?? []) {
      if (!declared.has(exchange.name) && !isPredeclared(exchange.name)) {
        declared.add(exchange.name);
        exchanges.push(exchange);
      }
      for (const routingKey of routingKeys) bindings.push({ exchange: exchange.name, routingKey, queue: spec.name });
    }
  }
  return {
    exchanges,
    queues: (topology.queues ?? []).filter(({ name }) => name !== ''),
    bindings: bindings.filter(({ queue }) => queue !== '' || own?.name === ''),
  };
}

/** The default exchange, queues that the broker names, and what is its own: `amq.topic`, `amq.gen-…`, direct reply-to. */
export const isPredeclared = (name: string): boolean => name === '' || name.startsWith('amq.');
