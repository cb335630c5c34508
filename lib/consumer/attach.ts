import { randomUUID } from 'node:crypto';
import { Observable, firstValueFrom } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ensureDeadLetterQueues, isEmpty, type Declaring } from '../connection/declare';
import { ChannelError, ConsumerError } from '../errors';
import type { QueueSpec, Topology } from '../topology';
import { consumeRefusal } from '../transport/broker-version';
import type { InboundChannel, InboundMessage, Link, QueuePresence } from '../transport/transport';
import { isRefusal, type CancelNotice } from './cancel-notice';
import type { ResolvedConsumeOptions } from './consume-options';
import type { StreamReader } from './stream/stream-reader';

/** An AMQP consumer that the broker has just registered. */
export interface Attached {
  readonly channel: InboundChannel;
  readonly queue: string;
  readonly tag: string;
}
/** Receives what arrives on one attachment. */
export interface AttachListener {
  /** An error that it returns ends the attachment. */
  readonly message: (message: InboundMessage) => ChannelError | undefined;
  /** The broker cancelled the consumer. */
  readonly cancelled: () => void;
}

type DeclareOptions = Pick<ResolvedConsumeOptions<unknown>, 'queueName' | 'spec' | 'declare' | 'topology'> & {
  /** Where to resume in a stream. */
  readonly stream?: StreamReader | undefined;
};
export type AttachOptions = DeclareOptions &
  Pick<
    ResolvedConsumeOptions<unknown>,
    'prefetch' | 'tagPrefix' | 'noAck' | 'exclusive' | 'priority' | 'arguments' | 'filter' | 'consumerTimeout'
  >;

/**
 * Opens a channel, declares, sets the prefetch and consumes, in this order and on that one channel; a second one is needed
 * only after an answer by which the broker closes the first, such as that a queue is missing. Calls `onAttached` once, after
 * consume-ok and before the first message; it returns the listener that receives the messages until the channel ends, also
 * after the unsubscribe.
 *
 * Cold. Emits: nothing. Errors: ChannelError when a step was refused or the channel ended; ConsumerError when the broker
 * cancelled the consumer. Completes: never. Unsubscribe: closes what is half-way set up, and deletes the queue if it was
 * made for this consumer alone; the channel of a complete attachment belongs to `onAttached`.
 */
export function attach(
  core: Pick<ConnectionCore, 'warnOnce'>,
  link: Link,
  options: AttachOptions,
  notice: CancelNotice,
  onAttached: (attached: Attached) => AttachListener,
): Observable<never> {
  return new Observable((subscriber) => {
    let attached = false;

    const consume = async ({ channel, queue }: Declared): Promise<void> => {
      channel.ended$.subscribe((error) => {
        // Then it consumes again without what was refused.
        if (error && !isRefusal(error)) subscriber.error(error);
      });
      if (subscriber.closed) return;
      const { tagPrefix, noAck, prefetch, exclusive, priority, stream } = options;
      const tag = `${tagPrefix}-${randomUUID()}`;
      let listener: AttachListener | undefined;
      // Messages can arrive in the same read as consume-ok, before `consume` resolves.
      const arrived = (): void => {
        if (attached || subscriber.closed) return;
        attached = true;
        listener = onAttached({ channel, queue, tag });
      };
      const args = stream ? { ...options.arguments, ...stream.arguments() } : options.arguments;
      await channel.consume(
        notice.on(link.broker, { queue, tag, prefetch, noAck, exclusive, priority, arguments: args }),
        {
          message: (message) => {
            arrived();
            const wrong = listener?.message(message);
            if (wrong) subscriber.error(wrong);
          },
          cancelled: () => {
            notice.queueGone();
            arrived();
            listener?.cancelled();
            subscriber.error(cancelledByBroker(queue));
          },
        },
      );
      arrived();
    };

    const setUp = async (): Promise<void> => {
      let declared: Declared | undefined;
      let gone = false;
      try {
        const refusal = consumeRefusal(link.broker, options.queueName, options);
        if (refusal) throw refusal;
        declared = await declareOn(core, link, options);
        try {
          await consume(declared);
        } catch (error) {
          if (!notice.refusedBy(error)) throw error;
          declared = { ...declared, channel: await firstValueFrom(link.openInbound()) };
          await consume(declared);
        }
      } catch (error) {
        gone = error instanceof ChannelError && error.replyCode === 404;
        if (gone) notice.queueGone();
        subscriber.error(error);
      }
      // Unsubscribed or refused: what was made for this consumer alone has no further use.
      if (!attached && declared && !gone) await cleanUp(link, declared);
    };
    void setUp();
  });
}

/** A channel on which everything is declared, and the queue to consume from. */
interface Declared {
  readonly channel: InboundChannel;
  readonly queue: string;
  /** `exclusive`: of use to this connection alone; `auto-delete`: the broker deletes it with its last consumer. */
  readonly temporary: 'exclusive' | 'auto-delete' | undefined;
}

/** Opens a channel and declares on it. Rejects: ChannelError. */
async function declareOn(
  core: Pick<ConnectionCore, 'warnOnce'>,
  link: Link,
  options: DeclareOptions,
): Promise<Declared> {
  const { declare, queueName, spec, topology, stream } = options;
  const setup = new SetupChannel(link);
  if (!declare) return { channel: await setup.open(), queue: queueName, temporary: undefined };
  let own: QueueSpec | undefined = spec;
  if (!spec || stream?.resumes === true) {
    if ((await setup.check(queueName)) === 'missing') {
      own ??= { name: queueName, ...(stream && { type: 'stream' }) };
      stream?.missing();
    }
  }
  await ensureDeadLetterQueues(core, setup, topology, own);
  const temporary = own && temporaryOf(own);
  const queue = own || !isEmpty(topology) ? await setup.declare(topology, own) : undefined;
  if (stream?.startsAtLast === true) stream.found({ empty: await setup.isEmpty(queueName) });
  return { channel: await setup.open(), queue: queue ?? queueName, temporary };
}

/** The channel that a setup runs on: a fresh one after each answer with which the broker closed the one before. */
class SetupChannel implements Declaring {
  readonly #link: Link;
  #channel: InboundChannel | undefined;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Rejects: ChannelError, when none can be opened. */
  async open(): Promise<InboundChannel> {
    return (this.#channel ??= await firstValueFrom(this.#link.openInbound()));
  }

  async check(queue: string): Promise<QueuePresence> {
    const presence = await this.#ask((channel) => channel.check(queue));
    if (presence !== 'there') this.#channel = undefined;
    return presence;
  }

  /** Without the permission to look it counts as holding something. Never rejects. */
  async isEmpty(queue: string): Promise<boolean> {
    const depth = await this.#ask((channel) => channel.inspect(queue)).catch(() => undefined);
    if (!depth) this.#channel = undefined;
    return depth?.messages === 0;
  }

  declare(topology: Topology, own?: QueueSpec): Promise<string | undefined> {
    return this.#ask((channel) => channel.declare(topology, own));
  }

  async #ask<R>(request: (channel: InboundChannel) => Promise<R>): Promise<R> {
    const channel = await this.open();
    try {
      return await request(channel);
    } catch (error) {
      this.#channel = undefined;
      throw error;
    }
  }
}

function temporaryOf({ name, passive, exclusive, autoDelete }: QueueSpec): Declared['temporary'] {
  if (passive === true) return undefined;
  return exclusive === true || name === '' ? 'exclusive' : autoDelete === true ? 'auto-delete' : undefined;
}

/** Closes the channel, and deletes a queue that is of no use without its consumer. Never rejects. */
async function cleanUp(link: Link, { channel, queue, temporary }: Declared): Promise<void> {
  await channel.close();
  if (!temporary || link.lost) return;
  // An auto-delete queue may have existed before, with messages for its next consumer.
  const ifEmpty = temporary === 'auto-delete';
  // A refusal means that another consumer uses it, that it holds messages, or that it is gone.
  await link.deleteQueue(queue, { ifUnused: true, ifEmpty }).catch(() => undefined);
}

/** Runs the steps that a broker may answer by closing the connection: opening a channel, and declaring. */
export async function rehearseAttach(
  core: Pick<ConnectionCore, 'warnOnce'>,
  link: Link,
  options: DeclareOptions,
): Promise<void> {
  await cleanUp(link, await declareOn(core, link, options));
}

function cancelledByBroker(queue: string): ConsumerError {
  const why = 'the queue was deleted, its node went down, the consumer timed out, or a permission was revoked';
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `The broker cancelled the consumer of queue \`${queue}\`: ${why}.`,
  );
}
