import type { GetMessage } from 'amqplib';

/** The JSON bodies of these messages. */
export function bodies(messages: readonly GetMessage[]): unknown[] {
  return messages.map(({ content }) => JSON.parse(content.toString()) as unknown);
}

/** The message ids of these messages. */
export function ids(messages: readonly GetMessage[]): unknown[] {
  return messages.map(({ properties }) => properties.messageId as unknown);
}
