import { OWN } from '../own-headers';
import type { Arguments } from '../properties';

/** The earlier attempts of a message, from the headers of the copy that came back from a wait queue. */
export interface RetryHistory {
  /** Runs of the handler so far. */
  readonly attempts: number;
  /** ISO 8601 */
  readonly firstFailed: string;
  /** Where the message was first published to. */
  readonly exchange: string;
  readonly routingKey: string;
}

/**
 * The history of a message in the queue it came from. Undefined if it never failed there: a dead letter, or a message that
 * was moved, carries the headers of the queue where it failed; one that was put back there starts over.
 */
export function historyOf(headers: Arguments | undefined, queue: string): RetryHistory | undefined {
  if (headers === undefined || !Object.hasOwn(headers, OWN.attempts)) return undefined;
  const attempts = headers[OWN.attempts];
  if (!Number.isSafeInteger(attempts) || Number(attempts) < 1) return undefined;
  if (headers[OWN.queue] !== queue || headers[OWN.spent] === true || rejectedSince(headers)) return undefined;
  const text = (name: string): string => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    attempts: Number(attempts),
    firstFailed: text(OWN.firstFailed),
    exchange: text(OWN.exchange),
    routingKey: text(OWN.routingKey),
  };
}

interface Route {
  readonly exchange: string;
  readonly routingKey: string;
}

/**
 * Where a message was first published to, if it came back to this queue by `retry` or by a replay of dead letters. Undefined: what
 * the broker says of its route is true.
 */
export function firstRoute(headers: Arguments | undefined, queue: string): Route | undefined {
  return headers && (historyOf(headers, queue) ?? replayedRoute(headers, queue));
}

/** Where a message was first published to, if a replay of dead letters sent it to this queue. */
export function replayedRoute(headers: Arguments, queue: string): Route | undefined {
  if (!Object.hasOwn(headers, OWN.replays) || headers[OWN.queue] !== queue) return undefined;
  const { [OWN.exchange]: exchange, [OWN.routingKey]: routingKey } = headers;
  return typeof exchange === 'string' && typeof routingKey === 'string' ? { exchange, routingKey } : undefined;
}

/** `x-death` lists the latest dead-lettering first; that of a wait queue has the reason `expired`. */
function rejectedSince({ 'x-death': deaths }: Arguments): boolean {
  const last: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  return typeof last === 'object' && last !== null && Reflect.get(last, 'reason') === 'rejected';
}
