import { InstanceQueueError } from '../errors';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Message, Settlement } from '../consumer/delivery';

/**
 * What is published on behalf of a message first, then its settlement `by`: between the two there may be both, but never
 * neither. Rejects: PublishError PUBLISH_INVALID, when it never can be published.
 */
export async function handOver(
  message: Message<unknown>,
  forward: (signal: AbortSignal) => Promise<void>,
  by: Settlement,
): Promise<Settlement> {
  const channel = ChannelDelivery.channelOf(message);
  const lost = new AbortController();
  const unwatch = whenOver(channel, 'ended', () => {
    lost.abort();
  });
  try {
    await forward(lost.signal);
    return by;
  } catch (error) {
    // It comes again; what is said here has no channel any more.
    if (lost.signal.aborted) return 'requeue';
    if (error instanceof InstanceQueueError && error.code === 'PUBLISH_INVALID') throw error;
    // There is no producing connection any more, and there will be none. Back in the queue it would fail again and
    // again; held back it waits for whoever ends this process.
    await new Promise<void>((resolve) => whenOver(channel, 'draining', resolve));
    return 'release';
  } finally {
    unwatch();
  }
}

/** Calls `listener` once the channel has ended, or drains; at once if there is none. Returns how to stop listening. */
function whenOver(channel: DeliveryChannel | undefined, phase: 'draining' | 'ended', listener: () => void): () => void {
  if (!channel) {
    if (phase === 'draining') listener();
    return () => undefined;
  }
  const look = (): void => {
    if (channel.ended || channel[phase]) listener();
  };
  const unwatch = channel.watch(look);
  look();
  return unwatch;
}
