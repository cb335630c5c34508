import { OWN, errorHeaders } from '../own-headers';
import type { Arguments, MessageProperties, Route } from '../properties';
import type { Message } from '../consumer/delivery';
import type { RetryHistory } from '../consumer/retry-history';

/** A message to be published as it is, over the producing connection. */
export interface Copy {
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: MessageProperties;
}

/**
 * Headers that would do something to the copy which they did to the original already: `CC` and `BCC` would fan it out
 * again, the broker's `x-death` can make it look like a message that goes in circles (which RabbitMQ drops), and the
 * broker's counts begin anew.
 */
const LEFT_BEHIND: ReadonlySet<string> = new Set(['CC', 'BCC', 'x-death', 'x-delivery-count', 'x-acquired-count']);
const DEATHS = /^x-(first|last)-death-/;

/** What is said of the failure. */
export interface Failure {
  readonly error: unknown;
  /** Runs of the handler, this one included. */
  readonly attempts: number;
  readonly history: RetryHistory | undefined;
  /** No further attempt is left: it is moved. */
  readonly spent: boolean;
}

/**
 * A copy of a message that failed: the same bytes, id, properties and headers, and those that tell of the failure. It has
 * no `expiration` any more, as RabbitMQ's own dead letters have none: it was delivered in time.
 */
export function copyOf(message: Message<unknown>, route: Route, failure: Failure): Copy {
  const { headers = {}, expiration: _, userId, ...properties } = message.properties;
  return {
    route,
    content: message.content,
    properties: { ...properties, headers: { ...kept(headers, userId), ...told(message, failure) } },
  };
}

function kept(headers: Arguments, userId: string | undefined): Arguments {
  const left = Object.entries(headers).filter(([name]) => !LEFT_BEHIND.has(name) && !DEATHS.test(name));
  return { ...Object.fromEntries(left), ...(userId !== undefined && { [OWN.userId]: userId }) };
}

function told(
  { queue, exchange, routingKey, properties }: Message<unknown>,
  { error, attempts, history, spent }: Failure,
): Arguments {
  const deaths = properties.headers?.['x-death'];
  return {
    [OWN.attempts]: attempts,
    [OWN.queue]: queue,
    [OWN.firstFailed]: history?.firstFailed ?? new Date().toISOString(),
    [OWN.exchange]: exchange,
    [OWN.routingKey]: routingKey,
    ...errorHeaders(error),
    [OWN.spent]: spent,
    // Later ones are of the wait queue.
    ...(history === undefined && deaths !== undefined && { [OWN.death]: deaths }),
  };
}
