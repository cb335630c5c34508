import type { ConsumeMessage } from 'amqplib';
import { isObject } from './members';

type Properties = ConsumeMessage['properties'];

/** Lets amqplib decode one header frame by itself: on a shadow of the connection, which is not touched. */
export function headerDecoder(connection: object): (frame: Buffer) => Properties {
  const prototype: unknown = Object.getPrototypeOf(connection);
  const receive: unknown = isObject(prototype) ? Reflect.get(prototype, 'recvFrame') : undefined;
  const shadow = Object.create(connection) as object;
  const nothing = { read: () => null };
  for (const [name, value] of Object.entries({ stream: nothing, rest: Buffer.alloc(0) })) {
    Object.defineProperty(shadow, name, { value, writable: true });
  }
  // Its own, and not what looks at the frames of this connection.
  Object.defineProperty(shadow, 'recvFrame', { value: receive });
  return (frame) => {
    Reflect.set(shadow, 'rest', frame);
    const decoded: unknown = typeof receive === 'function' ? Reflect.apply(receive, shadow, []) : undefined;
    const fields: unknown = isObject(decoded) ? Reflect.get(decoded, 'fields') : undefined;
    if (!isObject(fields)) throw new Error('amqplib did not decode the properties of a message.');
    return fields as Properties;
  };
}

/** content-type `t`, headers `{ a: 1 }`, message-id `m`; a body of no bytes. */
const SAMPLE = Buffer.from(
  '020001' + '0000001a' + '003c0000' + '0000000000000000' + 'a080' + '0174' + '00000004' + '01616201' + '016d' + 'ce',
  'hex',
);

/** Does it work on this amqplib? */
export function decodesAsKnown(connection: object): boolean {
  try {
    const properties = headerDecoder(connection)(SAMPLE);
    const headers: unknown = properties.headers;
    const header: unknown = isObject(headers) ? Reflect.get(headers, 'a') : undefined;
    return properties.contentType === 't' && properties.messageId === 'm' && header === 1;
  } catch {
    return false;
  }
}
