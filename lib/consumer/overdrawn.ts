import { ChannelError } from '../errors';

/** So many times the prefetch unsettled is more than any broker hands out. */
const FACTOR = 2;

/** Why no more is taken: a broker that does not keep to the prefetch would go on until no memory is left. */
export function overdrawn({
  queue,
  prefetch,
  unsettled,
}: {
  readonly queue: string;
  readonly prefetch: number;
  readonly unsettled: number;
}): ChannelError | undefined {
  if (unsettled < FACTOR * prefetch) return undefined;
  return new ChannelError(
    `The broker does not keep to the prefetch of ${String(prefetch)}: ${String(unsettled)} messages of queue \`${queue}\` are unsettled.`,
  );
}
