import { asItIs, type Codec } from '../../codec';

/**
 * The packets of Nest's own RabbitMQ transport: JSON, whatever the content type says (it gives them none). So each side
 * can be moved by itself. The codec of an InstanceQueue that is given, or a contract, has no part in them.
 */
export const packets: Codec<unknown> = {
  contentType: 'application/json',
  encode: (packet) => asItIs(Buffer.from(JSON.stringify(packet))),
  decode: (content): unknown => JSON.parse(content.toString('utf8')),
};
