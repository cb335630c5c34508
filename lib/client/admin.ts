import { filter, firstValueFrom, map, tap, throwIfEmpty, type Observable } from 'rxjs';
import { auto, type Codec } from '../codec';
import type { ConnectionCore } from '../connection/connection-core';
import type { Up } from '../connection/supervisor';
import { ArrivedMessage } from '../consumer/channel-delivery';
import type { Delivery, Message } from '../consumer/delivery';
import { contractCodec } from '../consumer/delivery-decoder';
import { closingBehind, opening } from '../consumer/closing-behind';
import { QueueScan, type QueueScanOptions } from '../consumer/queue-scan';
import { codecBesideContract, queueCodecs } from '../contract';
import type { PlainQueue, QueueOf } from '../contract-codecs';
import { undelayed } from '../delay/undelayed';
import { OptionsError } from '../errors';
import {
  boolean,
  checkOptions,
  countFrom,
  codec as isCodec,
  either,
  expected,
  isObject,
  object,
  shortString,
  type Shape,
} from '../options';
import {
  queueNamed,
  queueTypeOf,
  type BindingSpec,
  type ExchangeSpec,
  type QueueSpec,
  type Topology,
} from '../topology';
import { checkTopology } from '../topology-checks';
import type { InboundMessage, Link, QueueDepth } from '../transport/transport';
import { GetChannel } from './get-channel';

/** How `get` reads a message. */
export interface GetOptions<T> {
  /** How the body is read. @default auto */
  readonly codec?: Codec<T>;
}

/** How much of a queue `browse` reads. */
export interface BrowseOptions {
  /** Messages at most, from the head of the queue; Infinity: all. @default 100 */
  readonly limit?: number;
}

/** What to delete, and under which conditions. */
export type DeleteTarget =
  | {
      readonly queue: string | QueueSpec;
      /** Only if it holds no message. @default false */
      readonly ifEmpty?: boolean;
      /** Only if nothing consumes from it. @default false */
      readonly ifUnused?: boolean;
    }
  | {
      readonly exchange: string | ExchangeSpec;
      /** Only if nothing is bound to it. @default false */
      readonly ifUnused?: boolean;
    };

const GET: Shape<GetOptions<unknown>> = { codec: isCodec };
const BROWSE: Shape<BrowseOptions> = { limit: countFrom(1) };
/** Messages of a look that may be on their way. */
const WINDOW = 5000;
const DELETE: Shape<{ queue: string; exchange: string; ifEmpty: boolean; ifUnused: boolean }> = {
  queue: either(shortString(), object),
  exchange: either(shortString(), object),
  ifEmpty: boolean,
  ifUnused: boolean,
};
const UNBIND: Shape<BindingSpec> = {
  exchange: shortString(),
  queue: shortString(),
  toExchange: shortString(),
  routingKey: shortString(),
  arguments: object,
};

/**
 * Looks after queues and exchanges: declares, inspects, empties and deletes them. Each call uses a channel of its own, so that
 * a refusal costs nothing else; on the consuming connection, since a broker that blocks publishers does not answer the
 * producing one. A call waits while the connection is down.
 *
 * Every promise rejects with ChannelError and its `replyCode`, when the broker refuses; ConnectionError, when the connection
 * gave up or is closed; OptionsError.
 *
 * @example
 * if ((await queue.admin.inspect('orders'))?.messages === 0) await queue.admin.delete({ queue: 'orders', ifUnused: true });
 */
export class Admin {
  readonly #core: ConnectionCore;
  readonly #topology: Topology | undefined;

  /** @internal */
  constructor(core: ConnectionCore, topology: Topology | undefined) {
    this.#core = core;
    this.#topology = topology;
  }

  /** Declares exchanges, queues, then bindings. */
  async declare(topology: Topology): Promise<void> {
    checkTopology(topology);
    await (await this.link()).declare(topology);
  }

  /** How full a queue is, and how many consumers it has; undefined if there is no such queue. */
  async inspect(queue: string | QueueSpec): Promise<QueueDepth | undefined> {
    const name = nameOf(queue);
    return (await this.link()).inspect(name);
  }

  /**
   * Takes one message out of a queue, without a consumer. The delivery has a channel of its own until it is settled; closing
   * waits for that as for other deliveries. Undefined: the queue is empty. Rejects besides: ConsumerError UNDECODABLE; the
   * message is back in its queue then. Not for streams, over which RabbitMQ closes the connection (540): one that is known as such,
   * by a spec or the topology, is refused.
   */
  async get<T = unknown>(
    queue: string | PlainQueue | QueueOf<T>,
    options: GetOptions<T> = {},
  ): Promise<Delivery<T> | undefined> {
    const name = this.#notOfStream(queue, 'get()');
    checkOptions(options, GET, { of: 'get()' });
    const codecs = queueCodecs(queue);
    if (codecs && options.codec !== undefined) throw codecBesideContract(name);
    const up = await this.#up();
    const channel = await firstValueFrom(up.link.openInbound());
    try {
      const message = await channel.get(name);
      if (!message) {
        void channel.close();
        return undefined;
      }
      // T is what the contract says, or stands for whatever `auto` reads, unless the caller named another codec.
      const { codec = auto as Codec<T, never> } = options;
      const read = (arrived: InboundMessage): T =>
        (codecs ? (contractCodec(codecs, arrived, name) as Codec<T, never>) : codec).decode(
          arrived.content,
          arrived.properties,
        );
      return new GetChannel(this.#core, channel, name, up).hand(message, read);
    } catch (error) {
      void channel.close();
      throw error;
    }
  }

  /**
   * Looks at the messages of a queue from its head, in order, without taking them. Bodies stay bytes. The broker delivers them,
   * and gets them back when the look ends; until then no other consumer gets them, and afterwards they are marked as `redelivered`.
   * A classic queue has them in their places again; a quorum queue puts them behind what was returned earlier (RabbitMQ 3.x: behind
   * everything). RabbitMQ 4.0 to 4.2 counts each browse as a delivery: a message of a quorum queue that is browsed more often
   * than its delivery limit is dropped or dead-lettered; from 4.3 on browsing does not count. Not for streams: consume those.
   *
   * Cold. Emits: the messages that were ready at the start. Completes: after them, at `limit`, or when none has come for a second,
   * because other consumers have the rest; everything is back then. Errors: ChannelError (with `replyCode` 404 if there is no such
   * queue), ConnectionError, ConsumerError CONSUMER_CANCELLED. Unsubscribe: gives everything back.
   *
   * @throws OptionsError
   */
  browse(queue: string | QueueSpec, options: BrowseOptions = {}): Observable<Message<Buffer>> {
    const name = nameOf(queue);
    checkOptions(options, BROWSE, { of: 'browse()' });
    const { limit = 100 } = options;
    const open = (): Promise<QueueScan> => this.scan(name, { limit, window: WINDOW });
    return opening(open, (scan) => {
      const read$ = scan.message$.pipe(
        tap(({ deliveryTag }) => {
          scan.keep(deliveryTag);
        }),
        map((message) => new ArrivedMessage(undelayed(message), name, message.content)),
      );
      return closingBehind(read$, scan);
    });
  }

  /** @internal A scan of a queue whose messages are acked or kept one by one. */
  async scan(queue: string, options: QueueScanOptions): Promise<QueueScan> {
    return QueueScan.open(this.#core, await this.#up(), queue, options);
  }

  /** Drops all messages that are ready in a queue, as `get` not for streams. Resolves with how many; those out to consumers stay. */
  async purge(queue: string | QueueSpec): Promise<number> {
    const name = this.#notOfStream(queue, 'purge()');
    return (await this.link()).purge(name);
  }

  /** Deletes a queue with its messages, or an exchange. Resolves with how many messages went; nothing is not an error. */
  async delete(target: DeleteTarget): Promise<number> {
    checkOptions<object>(target, DELETE, { of: 'delete()' });
    if ('queue' in target === 'exchange' in target)
      throw expected('delete()', 'either `{ queue }` or `{ exchange }`', target);
    const name = 'queue' in target ? nameOf(target.queue) : nameOf(target.exchange, 'exchange');
    const link = await this.link();
    if ('queue' in target) return link.deleteQueue(name, target);
    await link.deleteExchange(name, target);
    return 0;
  }

  /** Removes a binding. One that does not exist is no error. */
  async unbind(binding: BindingSpec): Promise<void> {
    checkOptions<Pick<BindingSpec, 'exchange'>>(binding, UNBIND, { of: 'unbind()', required: ['exchange'] });
    await (await this.link()).unbind(binding);
  }

  /** @internal The present link, or the next. */
  async link(): Promise<Link> {
    return (await this.#up()).link;
  }

  /** As `nameOf`. @throws OptionsError also if the queue is known to be a stream */
  #notOfStream(queue: string | QueueSpec, call: string): string {
    const name = nameOf(queue);
    const spec = typeof queue === 'string' ? queueNamed(this.#core.known(this.#topology), name) : queue;
    if (!spec || queueTypeOf(spec) !== 'stream') return name;
    const sentence = `Queue \`${name}\` is a stream: RabbitMQ closes the connection over \`${call}\` of one.`;
    throw new OptionsError('queue', `${sentence} Consume it with an \`offset\`, or delete it.`);
  }

  #up(): Promise<Up<Link>> {
    this.#core.open();
    return firstValueFrom(
      this.#core.up$.pipe(
        map((up) => (up?.link.lost ? undefined : up)),
        filter((up) => up !== undefined),
        throwIfEmpty(() => this.#core.closedError()),
      ),
    );
  }
}

/** The name of a queue or exchange, given as such, in a spec or by a contract. @throws OptionsError */
function nameOf(given: string | QueueSpec | ExchangeSpec, option = 'queue'): string {
  const name: unknown = isObject(given) ? given.name : given;
  if (typeof name !== 'string' || name === '')
    throw expected(option, `the name of ${option === 'queue' ? 'a queue' : 'an exchange'}`, name);
  const wrong = shortString()(name);
  if (wrong !== undefined) throw expected(option, wrong, name);
  return name;
}
