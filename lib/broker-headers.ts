import type { Logger } from './log';
import { OWN } from './own-headers';
import type { Arguments } from './properties';

/**
 * Headers that brokers write into the messages they deliver, and that mean something only about that message. Published
 * again, brokers and consumers would apply them to the new one: RabbitMQ before 4.0 drops a message whose `x-death` says that it went in a
 * circle (https://www.rabbitmq.com/docs/dlx#routing), a federated exchange does not pass on what `x-received-from` says it
 * has had (https://www.rabbitmq.com/docs/federated-exchanges), and consumers read the counts and the offset of another
 * delivery.
 */
const BROKER_HEADERS: ReadonlySet<string> = new Set([
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-last-death-exchange',
  'x-last-death-queue',
  'x-last-death-reason',
  'x-delivery-count',
  'x-acquired-count',
  'x-stream-offset',
  'x-received-from',
]);

/**
 * Removes the headers that only brokers may write, for a message that is published anew; the same object if there are none.
 * With `x-death` goes the number of attempts that `retry` counted before it: put back by hand, a message starts over.
 */
export function withoutBrokerHeaders(headers: Arguments): Arguments {
  let found = false;
  for (const name in headers) if (BROKER_HEADERS.has(name)) found = true;
  if (!found) return headers;
  const startsOver = Object.hasOwn(headers, 'x-death');
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !BROKER_HEADERS.has(name) && !(startsOver && name === OWN.attempts)),
  );
}

/** The names of the headers that only brokers may write. */
export const brokerHeadersIn = (headers: Arguments): readonly string[] =>
  Object.keys(headers).filter((name) => BROKER_HEADERS.has(name));

const logged = new WeakSet<Logger>();

/** Logs which of a message's headers are not sent. Once per logger: a program that forwards does so with every message. */
export function logBrokerHeaders(log: Logger, headers: Arguments, messageId: string): void {
  if (logged.has(log)) return;
  const removed = brokerHeadersIn(headers);
  if (removed.length === 0) return;
  logged.add(log);
  log.info({ messageId, headers: removed }, 'headers that only brokers may write are not sent');
}
