import type { Arguments } from '../../properties';
import { describeField } from './field-table';
import { Refusal } from './refusal';
import type { StoredMessage } from './stored-message';

type Copies = 'CC' | 'BCC';

/** Further routing keys of a message, from its headers. https://www.rabbitmq.com/docs/sender-selected */
export function copies(headers: Arguments, name: Copies): readonly string[] {
  const keys = headers[name];
  if (keys === undefined) return [];
  if (Array.isArray(keys)) return keys.filter((key) => typeof key === 'string');
  const { type } = describeField(keys);
  throw new Refusal(406, `invalid message: {unacceptable_type_in_header,"${name}",${type}}`);
}

/** Every key that a message is routed by. */
export function routingKeys({ routingKey, properties: { headers } }: StoredMessage): readonly string[] {
  if (headers['CC'] === undefined && headers['BCC'] === undefined) return [routingKey];
  return [...new Set([routingKey, ...copies(headers, 'CC'), ...copies(headers, 'BCC')])];
}

/** The message as consumers may see it. */
export function withoutBlindCopies(message: StoredMessage): StoredMessage {
  if (message.properties.headers['BCC'] === undefined) return message;
  const { BCC: _, ...headers } = message.properties.headers;
  return { ...message, properties: { ...message.properties, headers } };
}
