import type { InstanceQueueError } from '../errors';

/** The properties that identify a message. */
export interface Suspect {
  readonly exchange: string;
  readonly userId: string | undefined;
  readonly size: number;
}

/**
 * The messages in flight that made the broker close the channel, judged by its reply text. If the text identifies none, send
 * them again one at a time. The broker names the exchange (`no exchange 'x' in vhost`, `access to exchange 'x'
 * refused`), the size (`message size 20 is larger than`) or the user id.
 */
export function culprits<E extends Suspect>(inFlight: readonly E[], error: InstanceQueueError): readonly E[] {
  const { message, replyCode } = error;
  const oldest = (fits: (entry: E) => boolean): readonly E[] => inFlight.filter(fits).slice(0, 1);
  if (inFlight.length === 1) return inFlight;
  const size = /message size (\d+)/.exec(message)?.[1];
  if (size !== undefined) return oldest((entry) => entry.size === Number(size));
  const userId = /user_id property set to '(.*?)' but/.exec(message)?.[1];
  if (userId !== undefined) return oldest((entry) => entry.userId === userId);
  const exchange = /exchange '(.*?)' /.exec(`${message} `)?.[1];
  if (exchange === undefined) return [];
  const name = exchange === 'amq.default' ? '' : exchange;
  const there = inFlight.filter((entry) => entry.exchange === name);
  // A missing exchange concerns all of its messages; a permission can depend on the routing key.
  return replyCode === 404 ? there : there.length === 1 ? there : [];
}
