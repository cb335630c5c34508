import { isExchangeContract, isQueueContract } from '../contract';
import { LONGEST_DELAY } from '../delay/levels';
import { filterValue } from '../filter-value';
import { type Shape, boolean, checkOptions, date, integer, isObject, number, object, shortString } from '../options';
import type { MessageProperties } from '../properties';
import { checkRoute } from '../topology-checks';

const name = shortString();
const MESSAGE: Shape<
  Omit<MessageProperties, never> & {
    queue: string;
    exchange: string;
    routingKey: string;
    body: unknown;
    persistent: boolean;
    mandatory: boolean;
    streamFilter: string;
    delay: number;
    at: Date;
  }
> = {
  queue: name,
  exchange: name,
  routingKey: name,
  body: () => undefined,
  persistent: boolean,
  mandatory: boolean,
  streamFilter: filterValue,
  delay: number(0, LONGEST_DELAY),
  at: date,
  messageId: shortString(),
  correlationId: shortString(),
  replyTo: shortString(),
  type: shortString(),
  appId: shortString(),
  userId: shortString(),
  contentType: shortString(),
  contentEncoding: shortString(),
  timestamp: date,
  expiration: number(0, 2 ** 32 - 1),
  priority: integer(0, 255),
  headers: object,
};

/** Why a value that is no object cannot be sent. */
export function notAMessage(value: unknown): string {
  const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
  return `Expected an object with a route and a \`body\`, got ${got}.`;
}

/** Refuses what is known to be wrong with a message: unknown or wrong members, no route or several. @throws OptionsError, TypeError */
export function checkMessage(message: unknown): void {
  // If a body was passed instead of a message, the error names only its type: errors contain no bodies.
  if (!isObject(message)) throw new TypeError(notAMessage(message));
  const { routingKey, contentType, messageId, type, persistent, mandatory } = message;
  const queue = isQueueContract(message['queue']) ? message['queue'].name : message['queue'];
  const exchange = isExchangeContract(message['exchange']) ? message['exchange'].name : message['exchange'];
  // For nearly all messages, checks by name are faster than the table.
  const plain =
    isOfFew(message) &&
    isName(queue) &&
    isName(exchange) &&
    isName(routingKey) &&
    isName(contentType) &&
    isName(messageId) &&
    isName(type) &&
    isFlag(persistent) &&
    isFlag(mandatory);
  if (!plain) {
    const byName = queue === message['queue'] && exchange === message['exchange'];
    checkOptions<object>(byName ? message : { ...message, queue, exchange }, MESSAGE, A_MESSAGE);
  }
  // `checkRoute` throws the errors.
  if ((queue === undefined) === (exchange === undefined) || (queue !== undefined && routingKey !== undefined))
    checkRoute({ queue, exchange, routingKey }, 'message');
  if (queue === '') throw new TypeError('a queue route needs the name of a queue');
}
const A_MESSAGE = { of: 'a message' };

/** Has the message nothing beside what most messages have? */
function isOfFew(message: object): boolean {
  for (const member in message) {
    switch (member) {
      case 'queue':
      case 'exchange':
      case 'routingKey':
      case 'body':
      case 'persistent':
      case 'mandatory':
      case 'contentType':
      case 'messageId':
      case 'type':
        break;
      default:
        return false;
    }
  }
  return true;
}

const isFlag = (value: unknown): boolean => value === undefined || typeof value === 'boolean';
const isName = (value: unknown): boolean => value === undefined || name(value) === undefined;
