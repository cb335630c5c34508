import type { ConsumeMessage } from 'amqplib';
import { randomUUID } from 'node:crypto';
import { Observable, type Subscription } from 'rxjs';
import { openChannel, type OpenChannel } from './channel';
import { declare, ensureQueue, exists, isEmpty } from './declare';
import type { Link } from './amqp-link';
import { channelRefused } from './amqp-errors';
import { ConsumerError, type ChannelError } from '../errors';
import type { ResolvedConsumeOptions } from '../consumer/consume-options';
import type { StreamReading } from '../consumer/stream/stream-reader';

/** An AMQP consumer just registered with the broker. */
export interface Attached {
  readonly open: OpenChannel;
  readonly queue: string;
  readonly tag: string;
}
/** Gets each message; null when the broker cancelled. What it returns ends the attachment. */
export type OnMessage = (message: ConsumeMessage | null) => ChannelError | undefined;

export type AttachOptions = Pick<
  ResolvedConsumeOptions<unknown>,
  | 'queueName'
  | 'spec'
  | 'declare'
  | 'topology'
  | 'prefetch'
  | 'tagPrefix'
  | 'noAck'
  | 'exclusive'
  | 'priority'
  | 'arguments'
> & {
  /** Where to go on in a stream. */
  readonly stream?: StreamReading | undefined;
};

/**
 * Topology, channel, prefetch, consume, in this order, on one link. `onAttached` is called once, behind consume-ok and in
 * front of the first message, and returns who gets the messages, until the channel ends: also after the unsubscribe.
 *
 * Cold. Emits: nothing. Errors: ChannelError when a step was refused or the channel ended; ConsumerError when the broker
 * cancelled. Completes: never. Unsubscribe: ends what is half-way set up; an attached channel is `onAttached`'s.
 */
export function attach(
  link: Link,
  options: AttachOptions,
  onAttached: (attached: Attached) => OnMessage,
): Observable<never> {
  return new Observable((subscriber) => {
    let open: OpenChannel | undefined;
    let onMessage: OnMessage | undefined;
    // The topology is declared while the channel opens: two round trips less behind each reconnect.
    const declared = declareFor(link, options);
    declared.catch(() => undefined);

    const setUp = async (channel: OpenChannel): Promise<void> => {
      const queue = await declared;
      if (subscriber.closed) return;
      const attached = { open: channel, queue, tag: `${options.tagPrefix}-${randomUUID()}` };
      // Messages may come in the same read as consume-ok, before its promise tells of it.
      const arrived = (): void => {
        if (!subscriber.closed) onMessage ??= onAttached(attached);
      };
      const take = (message: ConsumeMessage | null): void => {
        arrived();
        const wrong = onMessage?.(message);
        if (wrong) subscriber.error(wrong);
        else if (!message) subscriber.error(cancelled(attached));
      };
      try {
        // Sent together, the prefetch first: the broker answers in order.
        await Promise.all([
          options.noAck || channel.channel.prefetch(options.prefetch),
          consumeOn(attached, options, take),
        ]);
      } catch (error) {
        throw channelRefused(
          `Cannot consume from queue \`${queue}\``,
          link.lost?.replyCode === undefined ? error : link.lost,
        );
      }
      arrived();
      if (onMessage) link.receiver?.register(channel.channel, attached.tag, take);
      else void channel.close();
    };

    const opening: Subscription = openChannel(link, 'plain').subscribe({
      next: (channel) => {
        open = channel;
        setUp(channel).catch((error: unknown) => {
          subscriber.error(error);
        });
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
    });
    return () => {
      opening.unsubscribe();
      if (!onMessage) void open?.close();
    };
  });
}

function consumeOn(
  { open, queue, tag }: Attached,
  options: AttachOptions,
  onMessage: (message: ConsumeMessage | null) => void,
): Promise<unknown> {
  const { noAck, exclusive, priority, arguments: args, stream } = options;
  return open.channel.consume(queue, onMessage, {
    consumerTag: tag,
    noAck,
    exclusive,
    arguments: stream ? { ...args, ...stream.arguments() } : args,
    ...(priority !== undefined && { priority }),
  });
}

async function declareFor(link: Link, options: AttachOptions): Promise<string> {
  const { declare: wanted, queueName, spec, topology, stream } = options;
  if (!wanted) return queueName;
  if (stream?.goesOn === true && !(await exists(link, queueName))) stream.missing();
  if (!spec) await ensureQueue(link, queueName, stream && 'stream');
  if (!spec && isEmpty(topology)) return queueName;
  return (await declare(link, topology, spec)) ?? queueName;
}

function cancelled({ queue }: Attached): ConsumerError {
  const why = 'the queue was deleted, its node went, the consumer timed out, or a permission was taken away';
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `The broker cancelled the consumer of queue \`${queue}\`: ${why}.`,
  );
}
