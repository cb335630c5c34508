import { mergeMap, type OperatorFunction } from 'rxjs';
import { DEFAULTS, checkOptions, integer, type Shape } from '../options';
import type { Confirmation } from './entry';
import type { OutboundMessage } from './outbound';
import type { Producer } from './producer';
import { SEND, type SendOptions } from './producer-options';

/** How a stream is sent: the options of each `send`, and how many are under way. */
export interface PublishOptions extends SendOptions {
  /** Messages sent and not settled at once; what the source emits beyond waits. @default 1000 */
  readonly concurrency?: number;
}

const PUBLISH: Shape<PublishOptions> = { ...SEND, concurrency: integer(1, 1_000_000) };

/**
 * Sends what the source emits, in order.
 *
 * Emits: a confirmation per message, as they come. Completes: when the source has and all is confirmed. Errors: with the
 * source, or with the first PublishError. Unsubscribe: nothing more is taken from the source; what was sent stays sent.
 *
 * @throws OptionsError if an option cannot be right
 * @example
 * orders$.pipe(map((body) => ({ queue: 'orders', body })), publish(producer)).subscribe();
 */
export function publish<T>(
  producer: Pick<Producer<T>, 'send'>,
  options: PublishOptions = {},
): OperatorFunction<OutboundMessage<T>, Confirmation> {
  checkOptions(options, PUBLISH, { of: 'publish()' });
  const { concurrency = DEFAULTS.maxInFlight, ...send } = options;
  return mergeMap((message) => producer.send(message, send), concurrency);
}
