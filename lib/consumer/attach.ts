import { randomUUID } from 'node:crypto';
import { Observable, type Subscription } from 'rxjs';
import { ensureQueue, exists, isEmpty } from '../connection/ensure-queue';
import { ConsumerError, type ChannelError } from '../errors';
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
  /** Where to resume in a stream. */
  readonly stream?: StreamReader | undefined;
};

/**
 * Topology, channel, prefetch, consume, in this order, on one link. Calls `onAttached` once, after the broker's consume-ok
 * and before the first message; it returns the listener that gets the messages until the channel ends, also after the
 * unsubscribe.
 *
 * Cold. Emits: nothing. Errors: ChannelError when a step was refused or the channel ended; ConsumerError when the broker
 * cancelled. Completes: never. Unsubscribe: ends what is half-way set up; an attached channel belongs to `onAttached`.
 */
export function attach(
  link: Link,
  options: AttachOptions,
  onAttached: (attached: Attached) => AttachListener,
): Observable<never> {
  return new Observable((subscriber) => {
    let channel: InboundChannel | undefined;
    let listener: AttachListener | undefined;
    // The topology is declared while the channel opens: two round trips less after each reconnect.
    const declared = declareFor(link, options);
    declared.catch(() => undefined);

    const setUp = async (opened: InboundChannel): Promise<void> => {
      const queue = await declared;
      if (subscriber.closed) return;
      const tag = `${options.tagPrefix}-${randomUUID()}`;
      const { noAck, prefetch, exclusive, priority, stream } = options;
      // Messages may come in the same read as consume-ok, before `consume` resolves.
      const arrived = (): void => {
        if (!subscriber.closed) listener ??= onAttached({ channel: opened, queue, tag });
      };
      const args = stream ? { ...options.arguments, ...stream.arguments() } : options.arguments;
      await opened.consume(
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
      if (!listener) void opened.close();
    };

    const opening: Subscription = link.openInbound().subscribe({
      next: (opened) => {
        channel = opened;
        setUp(opened).catch((error: unknown) => {
          subscriber.error(error);
        });
      },
      error: (error: unknown) => {
        subscriber.error(error);
      },
    });
    return () => {
      opening.unsubscribe();
      if (!listener) void channel?.close();
    };
  });
}

async function declareFor(link: Link, options: AttachOptions): Promise<string> {
  const { declare: wanted, queueName, spec, topology, stream } = options;
  if (!wanted) return queueName;
  if (stream?.resumes === true && !(await exists(link, queueName))) stream.missing();
  if (!spec) await ensureQueue(link, queueName, stream && 'stream');
  if (!spec && isEmpty(topology)) return queueName;
  return (await link.declare(topology, spec)) ?? queueName;
}

function cancelledByBroker(queue: string): ConsumerError {
  const why = 'the queue was deleted, its node went, the consumer timed out, or a permission was taken away';
  return new ConsumerError(
    'CONSUMER_CANCELLED',
    queue,
    `The broker cancelled the consumer of queue \`${queue}\`: ${why}.`,
  );
}
