import { isObject } from '../../options';
import type { Arguments } from '../../properties';
import { copies } from './sender-selected';
import type { StoredMessage } from './stored-message';

/** Why a message left its queue for good. */
export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

/** The queue that a message left for good, and why. */
export interface Death {
  readonly queue: string;
  readonly reason: DeathReason;
}

/** The message as it goes to a dead-letter exchange. Without `key` it keeps its routing keys. https://www.rabbitmq.com/docs/dlx */
export function deadLetter(message: StoredMessage, death: Death, exchange: string, key?: string): StoredMessage {
  // It was in time once: it does not expire again.
  const { expiration, headers, ...properties } = message.properties;
  const { CC: _, ...withoutCopies } = headers;
  const kept = key === undefined ? headers : withoutCopies;
  return {
    ...message,
    exchange,
    routingKey: key ?? message.routingKey,
    properties: { ...properties, headers: { ...kept, ...history(message, death, expiration) } },
  };
}

function history(message: StoredMessage, { queue, reason }: Death, expiration: number | undefined): Arguments {
  const { exchange, routingKey, properties } = message;
  const deaths = deathsOf(properties.headers);
  const isSame = (death: Arguments): boolean => death['queue'] === queue && death['reason'] === reason;
  const before = deaths.find(isSame);
  const latest = {
    count: 1 + Number(before?.['count'] ?? 0),
    reason,
    queue,
    time: { '!': 'timestamp', value: Math.floor(Date.now() / 1000) },
    exchange,
    'routing-keys': [routingKey, ...copies(properties.headers, 'CC')],
    ...(expiration !== undefined && { 'original-expiration': String(expiration) }),
  };
  return {
    ...(deaths.length === 0 && {
      'x-first-death-exchange': exchange,
      'x-first-death-queue': queue,
      'x-first-death-reason': reason,
    }),
    'x-last-death-exchange': exchange,
    'x-last-death-queue': queue,
    'x-last-death-reason': reason,
    'x-death': [latest, ...deaths.filter((one) => !isSame(one))],
  };
}

/**
 * Has a dead letter come back to a queue that it left before, and no consumer rejected it since? The broker drops such a
 * message. https://www.rabbitmq.com/docs/dlx#automatic-dead-lettering-cycles
 */
export function isCycle(queue: string, { properties }: StoredMessage): boolean {
  const deaths = deathsOf(properties.headers);
  if (deaths[0]?.['reason'] === 'rejected') return false;
  const since = deaths.findIndex((death) => death['queue'] === queue);
  return since !== -1 && deaths.slice(0, since + 1).every((death) => death['reason'] !== 'rejected');
}

function deathsOf({ 'x-death': deaths }: Arguments): readonly Arguments[] {
  return Array.isArray(deaths) ? deaths.filter(isObject) : [];
}
