import type { Codec } from '../../codec';

/**
 * The packets of Nest's own RabbitMQ transport: JSON, whatever the content type says (it gives them none). So each side
 * can be moved by itself.
 */
export const packets: Codec<unknown> = {
  contentType: 'application/json',
  encode: (packet) => Buffer.from(JSON.stringify(packet)),
  decode: (content): unknown => JSON.parse(content.toString('utf8')),
};
