import { randomUUID } from 'node:crypto';
import { Observable, firstValueFrom } from 'rxjs';
import { isEmpty } from '../connection/ensure-queue';
import { ConsumerError, type ChannelError } from '../errors';
import type { QueueSpec } from '../topology';
import type { InboundChannel, InboundMessage, Link } from '../transport/transport';
import type { ResolvedConsumeOptions } from './consume-options';
import type { StreamReader } from './stream/stream-reader';

/** An AMQP consumer that the broker has just registered. */
export interface Attached {
  readonly channel: InboundChannel;
  readonly queue: string;
  readonly tag: string;
}
/** Gets the messages of one attachment. */
export interface AttachListener {
  /** What it returns ends the attachment. */
  readonly message: (message: InboundMessage) => ChannelError | undefined;
  /** The broker cancelled the consumer. */
  readonly cancelled: () => void;
}

type DeclareOptions = Pick<ResolvedConsumeOptions<unknown>, 'queueName' | 'spec' | 'declare' | 'topology'> & {
  /** Where to resume in a stream. */
  readonly stream?: StreamReader | undefined;
};
export type AttachOptions = DeclareOptions &
  Pick<ResolvedConsumeOptions<unknown>, 'prefetch' | 'tagPrefix' | 'noAck' | 'exclusive' | 'priority' | 'arguments'>;

/**
 * Channel, topology, prefetch, consume, in this order, on one link, and all on the channel that the consumer stays on: no
 * second one is needed, unless the queue has to be made. Calls `onAttached` once, after the broker's consume-ok and before
 * the first message; it returns the listener that gets the messages until the channel ends, also after the unsubscribe.
 *
 * Cold. Emits: nothing. Errors: ChannelError when a step was refused or the channel ended; ConsumerError when the broker
 * cancelled. Completes: never. Unsubscribe: ends what is half-way set up, with the queue if it was for this consumer
 * alone; an attached channel belongs to `onAttached`.
 */
export function attach(
  link: Link,
  options: AttachOptions,
  onAttached: (attached: Attached) => AttachListener,
): Observable<never> {
  return new Observable((subscriber) => {
    let attached = false;

    const consume = async (channel: InboundChannel, queue: string): Promise<void> => {
      const { tagPrefix, noAck, prefetch, exclusive, priority, stream } = options;
      const tag = `${tagPrefix}-${randomUUID()}`;
      let listener: AttachListener | undefined;
      // Messages may come in the same read as consume-ok, before `consume` resolves.
      const arrived = (): void => {
        if (attached || subscriber.closed) return;
        attached = true;
        listener = onAttached({ channel, queue, tag });
      };
      const args = stream ? { ...options.arguments, ...stream.arguments() } : options.arguments;
      await channel.consume(
        { queue, tag, prefetch, noAck, exclusive, priority, arguments: args },
        {
          message: (message) => {
            arrived();
            const wrong = listener?.message(message);
            if (wrong) subscriber.error(wrong);
          },
          cancelled: () => {
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
      try {
        declared = await declareOn(link, options);
        const { channel, queue } = declared;
        channel.ended$.subscribe((error) => {
          if (error) subscriber.error(error);
        });
        if (!subscriber.closed) await consume(channel, queue);
      } catch (error) {
        subscriber.error(error);
      }
      // Given up, or refused: what was made for this consumer alone has no use.
      if (!attached && declared) await cleanUp(link, declared);
    };
    void setUp();
  });
}

/** A channel on which everything is declared, and the queue to consume from. */
interface Declared {
  readonly channel: InboundChannel;
  readonly queue: string;
  /** `exclusive`: of use to this connection alone; `auto-delete`: it goes with its last consumer. */
  readonly temporary: 'exclusive' | 'auto-delete' | undefined;
}

/** Opens a channel and declares on it. Rejects: ChannelError. */
async function declareOn(link: Link, options: DeclareOptions): Promise<Declared> {
  const open = (): Promise<InboundChannel> => firstValueFrom(link.openInbound());
  const { declare, queueName, spec, topology, stream } = options;
  let channel = await open();
  if (!declare) return { channel, queue: queueName, temporary: undefined };
  let own: QueueSpec | undefined = spec;
  if (!spec || stream?.resumes === true) {
    const presence = await channel.check(queueName);
    // The broker closes a channel over any other answer.
    if (presence !== 'there') channel = await open();
    if (presence === 'missing') {
      own ??= { name: queueName, ...(stream && { type: 'stream' }) };
      stream?.missing();
    }
  }
  const temporary = own && temporaryOf(own);
  if (!own && isEmpty(topology)) return { channel, queue: queueName, temporary };
  return { channel, queue: (await channel.declare(topology, own)) ?? queueName, temporary };
}

function temporaryOf({ name, passive, exclusive, autoDelete }: QueueSpec): Declared['temporary'] {
  if (passive === true) return undefined;
  return exclusive === true || name === '' ? 'exclusive' : autoDelete === true ? 'auto-delete' : undefined;
}

/** Closes the channel, and deletes the queue if it is of no use without its consumer. Never rejects. */
async function cleanUp(link: Link, { channel, queue, temporary }: Declared): Promise<void> {
  await channel.close();
  if (!temporary || link.lost) return;
  // An auto-delete queue may have been there before, with messages for the next consumer.
  const ifEmpty = temporary === 'auto-delete';
  // A refusal means that another consumer uses it, that it holds messages, or that it is gone.
  await link.deleteQueue(queue, { ifUnused: true, ifEmpty }).catch(() => undefined);
}

/** Tries the steps that a broker may answer by closing the connection: opening a channel, and declaring. */
export async function rehearseAttach(link: Link, options: DeclareOptions): Promise<void> {
  await cleanUp(link, await declareOn(link, options));
}

function cancelledByBroker(queue: string): ConsumerError {
  const why = 'the queue was deleted, its node went, the consumer timed out, or a permission was taken away';
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `The broker cancelled the consumer of queue \`${queue}\`: ${why}.`,
  );
}
