import type { Channel, ChannelModel } from 'amqplib';
import { NEVER, Observable, Subject, firstValueFrom, race, switchMap, take, timer } from 'rxjs';
import { withBindings } from '../contract';
import { ChannelError, type ConnectionError } from '../errors';
import { plainTable } from '../field-table';
import type { QueueSpec, Topology } from '../topology';
import { exchangeArguments, queueArguments } from '../topology-arguments';
import { declareRefusal, isRabbitMq, type BrokerIdentity } from '../transport/broker-version';
import type { LinkChannel, QueueDepth, QueuePresence } from '../transport/transport';
import { channelRefused } from './amqp-errors';
import type { Cork } from './socket';
import type { Receiver } from './wire/receiver';

/** ms that the closing handshake of a channel may take; then `close` stops waiting for it. */
const CLOSE_WITHIN = 5000;

/**
 * ms that the broker has to answer channel.open. It may never answer: amqplib hands out the number of a closed channel at once, and while
 * the socket is full, it sends channel.open in front of what the last channel of that number still has to send, close-ok included.
 * Until close-ok the broker discards what comes for a channel that it has closed (the rules of channel.close in the reference).
 * https://www.rabbitmq.com/amqp-0-9-1-reference#channel.close
 */
const OPEN_WITHIN = 30_000;

/** The connection that a channel is on, as far as the channel is concerned. */
export interface ChannelHost {
  readonly model: ChannelModel;
  /** What the broker says of itself; undefined: nothing. */
  readonly broker: BrokerIdentity | undefined;
  /** May what lies below amqplib's documented surface be used? */
  readonly wire: boolean;
  /** Reads messages faster than amqplib. Undefined where it is not wanted, or where amqplib is not as known. */
  readonly receiver: Receiver | undefined;
  /** Undefined where the runtime does not say which socket it is. */
  readonly cork: Cork | undefined;
  /** As `Link.blocked$`. */
  readonly blocked$: Observable<string | undefined>;
  /** Why the connection is gone; undefined while it is up. */
  readonly lost: ConnectionError | undefined;
}

/** An open amqplib channel whose end cannot be missed. */
export class AmqpChannel<C extends Channel = Channel> implements LinkChannel {
  readonly #ended$ = new Subject<ChannelError | undefined>();
  /** A field: it is read for each message. */
  ended = false;
  #closing = false;
  #cause: Error | undefined;

  constructor(
    readonly host: ChannelHost,
    readonly channel: C,
  ) {
    // In the tick in which the channel appears: an 'error' without a listener costs the whole connection.
    channel.on('error', (error) => {
      this.#cause ??= error;
    });
    channel.on('close', () => {
      this.ended = true;
      this.#ended$.next(this.#closing ? undefined : this.#reason());
      this.#ended$.complete();
    });
  }

  get ended$(): Observable<ChannelError | undefined> {
    return this.#ended$;
  }

  #reason(): ChannelError {
    if (this.#cause) return channelRefused('The broker closed the channel', this.#cause);
    const { lost } = this.host;
    const what = 'The channel ended with its connection';
    return lost ? channelRefused(what, lost) : new ChannelError(`${what}.`);
  }

  async close(): Promise<void> {
    // With its link it is gone, whether amqplib reports that or not.
    if (this.ended || this.host.lost) return;
    const settled = firstValueFrom(race(this.#ended$.pipe(take(1)), timer(CLOSE_WITHIN)), { defaultValue: undefined });
    if (!this.#closing) {
      this.#closing = true;
      // Its promise never settles when the link is lost first, and its rejection says what `ended$` says too.
      this.channel.close().catch(() => undefined);
    }
    await settled;
  }

  async check(queue: string): Promise<QueuePresence> {
    try {
      await this.ask(`Cannot check queue \`${queue}\``, (channel) => channel.checkQueue(queue));
      return 'there';
    } catch (error) {
      const replyCode = error instanceof ChannelError ? error.replyCode : undefined;
      // Checking needs a permission that consuming and publishing do not (RabbitMQ 4.2.6).
      // https://www.rabbitmq.com/docs/access-control#authorisation
      if (replyCode === 403) return 'hidden';
      if (replyCode !== 404) throw error;
      return 'missing';
    }
  }

  async inspect(queue: string): Promise<QueueDepth | undefined> {
    try {
      const depth = await this.ask(`Cannot inspect queue \`${queue}\``, (channel) => channel.checkQueue(queue));
      return { messages: depth.messageCount, consumers: depth.consumerCount };
    } catch (error) {
      if (error instanceof ChannelError && error.replyCode === 404) return undefined;
      throw error;
    }
  }

  async declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    const refusal = declareRefusal(this.host.broker, topology, own);
    if (refusal) {
      // As a refusal of the broker's does.
      void this.close();
      throw refusal;
    }
    return this.ask(own ? `Cannot declare queue \`${own.name}\`` : 'Cannot declare the topology', (channel) =>
      declareTopology(channel, topology, own, this.host.broker),
    );
  }

  /** Makes a request of amqplib. Rejects: ChannelError, `what` and the broker's words. */
  async ask<T>(what: string, request: (channel: C) => Promise<T>): Promise<T> {
    try {
      return await request(this.channel);
    } catch (error) {
      throw channelRefused(what, reasonFrom(this.host, error));
    }
  }
}

/** Where the broker closed the whole connection, the connection knows why; a pending request does not. */
const reasonFrom = ({ lost }: Pick<ChannelHost, 'lost'>, error: unknown): unknown =>
  lost?.replyCode === undefined ? error : lost;

/** Opens a channel as `Link.openInbound` promises; `open` asks amqplib for it. */
export function openingChannel<O extends AmqpChannel>(
  host: Pick<ChannelHost, 'lost' | 'blocked$'>,
  open: () => Promise<O>,
): Observable<O> {
  return new Observable((subscriber) => {
    // While the broker blocks the connection, it does not read.
    const deadline = host.blocked$
      .pipe(switchMap((reason) => (reason === undefined ? timer(OPEN_WITHIN) : NEVER)))
      .subscribe(() => {
        subscriber.error(
          new ChannelError(`Cannot open a channel: the broker did not answer within ${String(OPEN_WITHIN)} ms.`),
        );
      });
    subscriber.add(deadline);
    open().then(
      (channel) => {
        deadline.unsubscribe();
        if (subscriber.closed) {
          void channel.close();
          return;
        }
        channel.ended$.subscribe((error) => {
          if (error) subscriber.error(error);
          else subscriber.complete();
        });
        subscriber.next(channel);
      },
      (error: unknown) => {
        subscriber.error(channelRefused('Cannot open a channel', reasonFrom(host, error)));
      },
    );
  });
}

/**
 * Runs `work` on a channel of its own and closes it: for requests that the broker may answer by closing the channel.
 * Rejects: as `work` does; ChannelError, when the channel cannot be opened.
 */
export async function onScratchChannel<T>(host: ChannelHost, work: (channel: AmqpChannel) => Promise<T>): Promise<T> {
  const channel = await firstValueFrom(
    openingChannel(host, async () => new AmqpChannel(host, await host.model.createChannel())),
  );
  try {
    return await work(channel);
  } finally {
    void channel.close();
  }
}

/** Asserts or checks one queue. Resolves with its name, which the broker may have chosen. */
async function declareQueue(channel: Channel, spec: QueueSpec, broker: BrokerIdentity | undefined): Promise<string> {
  const { queue } = spec.passive
    ? await channel.checkQueue(spec.name)
    : await channel.assertQueue(spec.name, queueArguments(asKnownTo(broker, spec)));
  return queue;
}

/**
 * RabbitMQ counts a limit of -1 as none since 4.0. Earlier ones take it for a number and drop the message at its first
 * failure; they have no limit unless one is given. https://www.rabbitmq.com/docs/quorum-queues#position-delivery-limit
 */
function asKnownTo(broker: BrokerIdentity | undefined, spec: QueueSpec): QueueSpec {
  const { deliveryLimit = 0, ...others } = spec;
  return deliveryLimit < 0 && broker && !isRabbitMq(broker, '4.0') ? others : spec;
}

/**
 * Declares exchanges, queues, then bindings. The broker answers a refusal by closing the channel: use one of its own.
 * Resolves with the broker's name of the queue `own` (bindings of '' mean that queue).
 */
export async function declareTopology(
  channel: Channel,
  topology: Topology,
  own: QueueSpec | undefined,
  broker: BrokerIdentity | undefined,
): Promise<string | undefined> {
  const { exchanges = [], queues = [], bindings = [] } = withBindings(topology, own);
  for (const spec of exchanges) {
    const { type, ...options } = exchangeArguments(spec);
    await (spec.passive ? channel.checkExchange(spec.name) : channel.assertExchange(spec.name, type, options));
  }
  for (const spec of queues) if (spec !== own) await declareQueue(channel, spec, broker);
  // Last, because a binding to '' means the queue declared last on the channel.
  const name = own && (await declareQueue(channel, own, broker));
  for (const { exchange, queue, toExchange, routingKey = '', ...spec } of bindings) {
    const args = plainTable(spec.arguments ?? {}, 'arguments');
    await (toExchange === undefined
      ? channel.bindQueue(queue === '' ? (name ?? '') : queue, exchange, routingKey, args)
      : channel.bindExchange(toExchange, exchange, routingKey, args));
  }
  return name;
}
