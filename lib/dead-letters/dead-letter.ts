import { ArrivedMessage } from '../consumer/channel-delivery';
import type { Message } from '../consumer/delivery';
import { undelayed } from '../delay/undelayed';
import { isObject } from '../options';
import { OWN } from '../own-headers';
import type { Arguments, MessageProperties } from '../properties';
import type { InboundMessage } from '../transport/transport';

/** A message in a dead-letter queue, and what its headers say about how it got there. */
export interface DeadLetter {
  /** Undefined: it was sent without one. */
  readonly messageId: string | undefined;
  /**
   * Why it is here: `rejected`, `expired`, `maxlen` or `delivery_limit`, as the broker says; `failed`, if `retry` moved it when its
   * attempts were spent; `unknown`, if nothing says why.
   */
  readonly reason: string;
  /** The queue in which it failed. Undefined: nothing says which. */
  readonly queue: string | undefined;
  /** The last error that `retry` wrote into its headers. */
  readonly error: { readonly name: string; readonly message: string } | undefined;
  /** When it died; for a message that `retry` moved, when it failed first. */
  readonly diedAt: Date | undefined;
  /** Where it was first published to. Undefined: nothing says where. */
  readonly published: { readonly exchange: string; readonly routingKey: string } | undefined;
  /** Runs of a handler that `retry` counted. 0: none, or unknown. */
  readonly attempts: number;
  /** How often it was sent back with `replay` before. */
  readonly replays: number;
  /** The whole message; its body is bytes. */
  readonly message: Message<Buffer>;
}

/** An entry of `x-death`. https://www.rabbitmq.com/docs/dlx#effects */
interface Death {
  readonly queue: string;
  readonly reason: string;
  readonly exchange: string;
  readonly routingKey: string;
  readonly time: Date | undefined;
}

/** Reasons by which a message left the queue of its consumer. Others are those of queues in which messages wait. */
const FAILED: ReadonlySet<string> = new Set(['rejected', 'delivery_limit']);

/** Reads the headers of the broker and of `retry`. */
export function readDeadLetter(arrived: InboundMessage, from: string): DeadLetter {
  const message = new ArrivedMessage(undelayed(arrived), from, arrived.content);
  const { messageId, headers = {}, timestamp } = message.properties;
  const text = (name: string): string | undefined => {
    const value = headers[name];
    return typeof value === 'string' ? value : undefined;
  };
  const count = (name: string): number => (Number.isSafeInteger(headers[name]) ? Number(headers[name]) : 0);
  const deaths = [...deathsIn(headers['x-death']), ...deathsIn(headers[OWN.moved])];
  // The latest is the first in the list. After it, a message may have waited in other queues.
  const failure = deaths.find(({ reason }) => FAILED.has(reason));
  const oldest = deaths.at(-1);
  const queue = failure?.queue ?? text(OWN.queue) ?? oldest?.queue;
  // What `retry` wrote is about the queue that it names: the message may have failed in another one since.
  const retried = text(OWN.queue) !== undefined && text(OWN.queue) === queue;
  const name = text(OWN.errorName);
  const routingKey = text(OWN.routingKey);
  const firstFailed = retried ? dateOf(text(OWN.firstFailed)) : undefined;
  return {
    messageId,
    reason: failure?.reason ?? (headers[OWN.spent] === true ? 'failed' : (deaths[0]?.reason ?? 'unknown')),
    queue,
    error: retried && name !== undefined ? { name, message: text(OWN.errorMessage) ?? '' } : undefined,
    diedAt: deaths[0]?.time ?? firstFailed ?? timestamp,
    published:
      retried && routingKey !== undefined
        ? { exchange: text(OWN.exchange) ?? '', routingKey }
        : oldest && { exchange: oldest.exchange, routingKey: oldest.routingKey },
    attempts: retried ? count(OWN.attempts) : 0,
    replays: count(OWN.replays),
    message,
  };
}

function deathsIn(header: unknown): Death[] {
  if (!Array.isArray(header)) return [];
  return header.filter(isObject).flatMap((entry): Death[] => {
    const { queue, reason, exchange, time } = entry;
    if (typeof queue !== 'string' || typeof reason !== 'string') return [];
    const keys: unknown = entry['routing-keys'];
    const key: unknown = Array.isArray(keys) ? keys[0] : undefined;
    const seconds: unknown = isObject(time) ? time['value'] : time;
    return [
      {
        queue,
        reason,
        exchange: typeof exchange === 'string' ? exchange : '',
        routingKey: typeof key === 'string' ? key : '',
        time: typeof seconds === 'number' ? dateOf(seconds * 1000) : undefined,
      },
    ];
  });
}

/** Undefined: it is none, or one that no Date can hold. */
function dateOf(time: string | number | undefined): Date | undefined {
  const date = new Date(time ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

/** Where a letter goes. An empty exchange is the default one: the routing key is then the name of a queue. */
export interface Target {
  readonly exchange: string;
  readonly routingKey: string;
}

const OWN_HEADERS: ReadonlySet<string> = new Set(Object.values(OWN));

/**
 * Properties of letters that can stay on them; headers of the broker are left out by `send`. A letter that goes straight into a queue
 * says where it was first published to, and one that is moved where it died: nothing else would say so.
 */
export function sentAgain(letter: DeadLetter, anew: boolean, route: Target): MessageProperties {
  // `userId` would be checked against this user; a letter that expired once must not expire on its way.
  const { userId: _, expiration: __, headers = {}, ...properties } = letter.message.properties;
  const kept = Object.entries(headers).filter(
    // `CC` and `BCC` would route it to their queues again.
    ([name]) => name !== 'CC' && name !== 'BCC' && !(anew && OWN_HEADERS.has(name)),
  );
  return {
    ...properties,
    headers: { ...Object.fromEntries(kept), ...(anew ? replayed(letter, route) : moved(headers)) },
  };
}

function replayed({ replays, published }: DeadLetter, { exchange, routingKey }: Target): Arguments {
  const count = { [OWN.replays]: replays + 1 };
  const isKnown = !published || exchange !== '' || (published.exchange === '' && published.routingKey === routingKey);
  if (isKnown) return count;
  return {
    ...count,
    [OWN.queue]: routingKey,
    [OWN.exchange]: published.exchange,
    [OWN.routingKey]: published.routingKey,
  };
}

function moved(headers: Arguments): Arguments {
  const deaths = [headers['x-death'], headers[OWN.moved]].filter(Array.isArray).flat();
  return deaths.length > 0 ? { [OWN.moved]: deaths } : {};
}
