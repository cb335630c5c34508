import { OWN } from '../own-headers';
import type { Arguments } from '../properties';

/** What a message says of its earlier attempts, by the headers of the copy that came back from a wait queue. */
export interface RetryHistory {
  /** Runs of the handler so far. */
  readonly attempts: number;
  /** ISO 8601 */
  readonly firstFailed: string;
  /** Where it was published to before anything failed. */
  readonly exchange: string;
  readonly routingKey: string;
}

/**
 * The history of a message in the queue it came from. Nothing, if it never failed there: as a dead letter or moved it
 * carries the headers of the queue where it failed, and put back there by hand it starts over.
 */
export function historyOf(headers: Arguments | undefined, queue: string): RetryHistory | undefined {
  if (headers === undefined || !Object.hasOwn(headers, OWN.attempts)) return undefined;
  const attempts = headers[OWN.attempts];
  if (!Number.isSafeInteger(attempts) || Number(attempts) < 1) return undefined;
  if (headers[OWN.queue] !== queue || headers[OWN.spent] === true || rejectedSince(headers)) return undefined;
  const told = (name: string): string => {
    const value = headers[name];
    return typeof value === 'string' ? value : '';
  };
  return {
    attempts: Number(attempts),
    firstFailed: told(OWN.firstFailed),
    exchange: told(OWN.exchange),
    routingKey: told(OWN.routingKey),
  };
}

/** The last of the broker's dead-letterings comes first; that of a wait queue has the reason `expired`. */
function rejectedSince({ 'x-death': deaths }: Arguments): boolean {
  const last: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  return typeof last === 'object' && last !== null && Reflect.get(last, 'reason') === 'rejected';
}
