import { InstanceQueueError } from '../errors';
import { ChannelDelivery, type DeliveryChannel } from '../consumer/channel-delivery';
import type { Message, Settlement } from '../consumer/delivery';

/**
 * Publishes on behalf of a message, then resolves with the settlement `by`: if the process dies in between, the broker has
 * both messages, but never none. Rejects: PublishError PUBLISH_INVALID, when it can never be published.
 */
export async function forwardThenSettle(
  message: Message<unknown>,
  forward: (signal: AbortSignal) => Promise<void>,
  by: Settlement,
): Promise<Settlement> {
  const channel = ChannelDelivery.channelOf(message);
  const lost = new AbortController();
  const unwatch = whenIt(channel, 'ended', () => {
    lost.abort();
  });
  try {
    await forward(lost.signal);
    return by;
  } catch (error) {
    // The broker delivers it again; this settlement has no channel to go to.
    if (lost.signal.aborted) return 'requeue';
    if (error instanceof InstanceQueueError && error.code === 'PUBLISH_INVALID') throw error;
    // The producing connection is closed for good. Put back at once, the message would be delivered and fail in a loop; it
    // is held until the consumer drains, which ends the loop.
    await new Promise<void>((resolve) => whenIt(channel, 'draining', resolve));
    return 'release';
  } finally {
    unwatch();
  }
}

/**
 * Calls `listener` once the channel has ended or, for that phase, drains. Without a channel nothing ends, and draining is
 * assumed. Returns how to stop listening.
 */
function whenIt(channel: DeliveryChannel | undefined, phase: 'draining' | 'ended', listener: () => void): () => void {
  if (!channel) {
    if (phase === 'draining') listener();
    return () => undefined;
  }
  const check = (): void => {
    if (channel.ended || channel[phase]) listener();
  };
  const unwatch = channel.watch(check);
  check();
  return unwatch;
}
