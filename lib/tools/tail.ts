import { defer, map, type Observable, switchMap } from 'rxjs';
import type { InstanceQueue } from '../client/instance-queue';
import { bytes } from '../codec';
import type { Delivery, Message } from '../consumer/delivery';
import type { StreamStart } from '../consumer/stream/stream-start';
import { OptionsError, sentenceOf } from '../errors';
import { checkOptions, expected, list, object, type Shape, shortString } from '../options';
import type { BindingSpec } from '../topology';
import { type ListedBinding, Management, type ManagementOptions } from './management';

/** What to follow. One of `exchange`, `queue` and `stream`. */
export interface TailOptions {
  /** Every message that is published to this exchange with one of the `keys`. */
  readonly exchange?: string;
  /**
   * Binding keys; for a topic exchange, patterns. A direct exchange has to be given some. @default ['#'], which on a topic exchange
   * means all, and on a fanout or headers exchange is not looked at
   */
  readonly keys?: readonly string[];
  /**
   * Every message that goes to this queue through an exchange other than the default one, by a copy of its bindings. They are read
   * from the `management` API, because AMQP does not tell them. If it is a stream, that is followed.
   */
  readonly queue?: string;
  /** Where the bindings of `queue` are read. */
  readonly management?: ManagementOptions;
  /** Every message that is added to this stream. */
  readonly stream?: string;
  /** Where to begin in the stream. @default 'next' */
  readonly offset?: StreamStart;
}

const TAIL: Shape<TailOptions> = {
  exchange: shortString(),
  keys: list,
  queue: shortString(),
  management: object,
  stream: shortString(),
  offset: () => undefined,
};

/**
 * Follows what is published, without taking anything away: a queue of its own, which goes with its consumer, gets a copy.
 * What is published before it is bound, or while the connection is down, is not seen. A message that is sent straight to a queue
 * goes through the default exchange, to which nothing else can be bound: only its own consumers see it. An exchange that gives each
 * message to one of its bindings alone (`x-random`, `x-consistent-hash`, `x-modulus-hash`) is refused.
 *
 * Cold. Emits: messages, with the body as bytes. Completes: when the queue is closed. Errors: ChannelError, ConnectionError;
 * OptionsError, when a queue has no binding that could be copied, or the exchange is such a one; Error, when the management API does not answer.
 * Unsubscribe: removes its queue.
 *
 * @throws OptionsError if an option cannot be right
 *
 * @example
 * tail(queue, { exchange: 'events', keys: ['order.*'] }).subscribe(({ routingKey, body }) => console.log(routingKey, String(body)));
 */
export function tail(queue: InstanceQueue, options: TailOptions): Observable<Message<Buffer>> {
  checkOptions<TailOptions>(options, TAIL, { of: 'tail()' });
  const { exchange, keys, stream, offset = 'next', queue: copied, management } = options;
  if ([exchange, stream, copied].filter((name) => name !== undefined).length !== 1)
    throw new OptionsError('tail()', 'Expected one of `exchange`, `queue` and `stream`.');
  if (exchange === '') throw expected('exchange', 'a name: nothing can be bound to the default exchange', exchange);
  if (keys && exchange === undefined) throw expected('keys', 'given beside `exchange` alone', keys);
  if (options.offset !== undefined && exchange !== undefined)
    throw expected('offset', 'absent beside `exchange`: only a stream keeps what was published', options.offset);
  if (keys?.length === 0) throw expected('keys', 'at least one binding key: without one nothing is followed', keys);
  if (stream !== undefined) return tailStream(queue, stream, offset);
  if (exchange !== undefined)
    return defer(async () => {
      // A missing exchange is refused at once; a consumer would wait for it.
      await queue.admin.declare({ exchanges: [{ name: exchange, type: 'direct', passive: true }] });
      if ((await typeOf(queue, exchange)) === 'direct' && !keys)
        throw new OptionsError(
          'keys',
          `Exchange \`${exchange}\` is of the type \`direct\`, which compares keys as they are: name those to follow.`,
        );
      return (keys ?? ['#']).map((routingKey): Copied => ({ exchange, routingKey }));
    }).pipe(switchMap((bindings) => follow(queue, bindings)));
  const name = copied ?? '';
  if (!management) throw expected('management', `given, to read the bindings of queue \`${name}\``, undefined);
  const api = new Management(management);
  return defer(async () => {
    if ((await api.queueType(name)) === 'stream') return tailStream(queue, name, offset);
    const bindings = bindingsOf(await api.bindingsOf(name), name);
    for (const source of new Set(bindings.map(({ exchange }) => exchange))) await typeOf(queue, source);
    return follow(queue, bindings);
  }).pipe(switchMap((message$) => message$));
}

/** Exchanges that give each message to one of their bindings alone. */
const SHARING: ReadonlySet<string> = new Set(['x-random', 'x-local-random', 'x-consistent-hash', 'x-modulus-hash']);
/** What RabbitMQ says of the type of an exchange that is there. */
const TYPE = /inequivalent arg 'type' for exchange '.*' in vhost '.*': received '.*' but current is '+(.+?)'+$/s;

/**
 * The type of an exchange, of which one more binding takes no messages from the others. AMQP does not tell types, except of an exchange
 * that is declared as another one, and refused: as fanout, none that anyone uses is internal and goes with its last binding. '':
 * unknown. @throws OptionsError if it would take messages
 */
async function typeOf({ admin }: InstanceQueue, exchange: string): Promise<string> {
  try {
    await admin.declare({ exchanges: [{ name: exchange, type: 'fanout', internal: true, autoDelete: true }] });
  } catch (error) {
    // Without the permission to declare it the type stays unknown.
    const [, type = ''] = TYPE.exec(sentenceOf(error)) ?? [];
    if (!SHARING.has(type)) return type;
    throw new OptionsError(
      'exchange',
      `Exchange \`${exchange}\` is of the type \`${type}\`, which gives each message to one of its bindings alone: what is followed would be missing elsewhere.`,
    );
  }
  return '';
}

type Copied = Pick<BindingSpec, 'exchange' | 'routingKey' | 'arguments'>;

function bindingsOf(listed: readonly ListedBinding[], queue: string): readonly Copied[] {
  const bindings = listed.filter(({ source }) => source !== '');
  if (bindings.length === 0)
    throw new OptionsError(
      'queue',
      `Queue \`${queue}\` has no binding that could be copied: it gets messages through the default exchange alone, and only its consumers see them.`,
    );
  return bindings.map(({ source, routingKey, arguments: args }) => ({ exchange: source, routingKey, arguments: args }));
}

function follow(queue: InstanceQueue, copied: readonly Copied[]): Observable<Message<Buffer>> {
  return queue.consume({
    queue: { name: '', exclusive: true, autoDelete: true, durable: false },
    topology: { bindings: copied.map((binding) => ({ ...binding, queue: '' })) },
    codec: bytes,
    noAck: true,
  });
}

function tailStream(queue: InstanceQueue, name: string, offset: StreamStart): Observable<Message<Buffer>> {
  const delivery$: Observable<Delivery<Buffer>> = queue.consume({
    queue: { name, passive: true, type: 'stream' },
    offset,
    codec: bytes,
    prefetch: 500,
  });
  return delivery$.pipe(
    map((delivery) => {
      // The stream keeps it.
      delivery.ack();
      return delivery;
    }),
  );
}
