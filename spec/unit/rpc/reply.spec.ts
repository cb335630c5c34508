import { json, type Codec, type MessageProperties } from 'instance-queue';
import { readReply } from '../../../lib/rpc/reply';

const replied = (text: string, properties: MessageProperties = {}) => ({
  content: Buffer.from(text),
  deliveryTag: 1,
  redelivered: false,
  exchange: '',
  routingKey: 'amq.rabbitmq.reply-to.x',
  contentType: properties.contentType,
  contentEncoding: undefined,
  headers: properties.headers,
  properties,
  unreadable: undefined,
});
const read = (reply: ReturnType<typeof replied>, codec: Codec<unknown, never> = json()): unknown => {
  try {
    return readReply(reply, codec, 'm1');
  } catch (error) {
    return error;
  }
};
const failure = (message: unknown, name?: unknown) =>
  replied('', {
    headers: {
      'x-instance-queue-error-message': message,
      ...(name !== undefined && { 'x-instance-queue-error-name': name }),
    },
  });

describe('a reply', () => {
  it('is a message of the pseudo-queue of replies, with its properties', () => {
    const message = read(replied('{"id":7}', { correlationId: 'c', headers: { mine: 1 } }));
    expect(message).toMatchObject({
      body: { id: 7 },
      queue: 'amq.rabbitmq.reply-to',
      properties: { correlationId: 'c', headers: { mine: 1 } },
    });
  });

  it.each([
    ['with its content type', { contentType: 'text/x' }, 'text/x'],
    ['without one', {}, 'none'],
  ])('that cannot be decoded is told %s, its size, and the error of the codec as the cause', (_, properties, type) => {
    const error = read(replied('{', properties));
    expect(error).toMatchObject({ code: 'UNDECODABLE', queue: 'amq.rabbitmq.reply-to' });
    expect((error as Error).message).toMatch(
      new RegExp(`^Cannot decode the reply to request m1 \\(content type ${type}, 1 bytes\\)\\.`),
    );
    expect((error as Error).cause).toBeInstanceOf(Error);
  });

  it.each<[string, unknown, unknown, string, string, string]>([
    ['its name and its message', 'no price', 'RangeError', 'RangeError', 'no price', 'RangeError: no price'],
    ['no name', 'no price', undefined, 'Error', 'no price', 'Error: no price'],
    ['an empty name', 'no price', '', 'Error', 'no price', 'Error: no price'],
    ['a name that is no text', 'no price', 5, 'Error', 'no price', 'Error: no price'],
    ['no message', '', 'RangeError', 'RangeError', '', 'RangeError'],
    ['a message that is no text', 5, 'RangeError', 'RangeError', '', 'RangeError'],
  ])('that says that the work failed rejects with its error: %s', (_, message, given, name, cause, sentence) => {
    expect(read(failure(message, given))).toMatchObject({
      code: 'REPLY_ERROR',
      messageId: 'm1',
      message: `The responder could not do the work: ${sentence}`,
      cause: { name, message: cause },
      maybeDelivered: true,
      retryable: false,
    });
  });
});
