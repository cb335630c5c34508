import { withoutBrokerHeaders } from '../broker-headers';
import { OWN, errorHeaders } from '../own-headers';
import { workScopeHeaders } from '../work-scope';
import type { Arguments, MessageProperties, Route } from '../properties';
import type { Message } from '../consumer/delivery';
import type { RetryHistory } from '../consumer/retry-history';

/** A message to publish over the producing connection, with these bytes. */
export interface Copy {
  readonly route: Route;
  readonly content: Buffer;
  readonly properties: MessageProperties;
}

/** They already took effect for the original: on the copy they would route it to their queues again. */
const CARBON_COPIES: readonly string[] = ['CC', 'BCC'];

/** What the headers of a copy say about the failure. */
export interface Failure {
  readonly error: unknown;
  /** Runs of the handler, including this one. */
  readonly attempts: number;
  readonly history: RetryHistory | undefined;
  /** No attempt is left: the copy is moved, not retried. */
  readonly spent: boolean;
}

/**
 * A copy of a message whose work failed: the same bytes, id, properties and headers, and headers about the failure. Like
 * RabbitMQ's own dead letters it has no `expiration`: the message was delivered in time.
 */
export function copyOf(message: Message<unknown>, route: Route, failure: Failure): Copy {
  const { headers = {}, expiration: _, userId, ...properties } = message.properties;
  return {
    route,
    content: message.content,
    properties: {
      ...properties,
      headers: { ...kept(headers, userId), ...workScopeHeaders(message), ...failureHeaders(message, failure) },
    },
  };
}

function kept(headers: Arguments, userId: string | undefined): Arguments {
  const left = Object.entries(withoutBrokerHeaders(headers)).filter(([name]) => !CARBON_COPIES.includes(name));
  return { ...Object.fromEntries(left), ...(userId !== undefined && { [OWN.userId]: userId }) };
}

function failureHeaders(
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
    // Only at the first failure: later on `x-death` is that of the wait queue.
    ...(history === undefined && deaths !== undefined && { [OWN.death]: deaths }),
  };
}
