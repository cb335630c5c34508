import { AmqplibMessage } from '../../../lib/amqp/amqplib-message';
import { fromAmqp, publishOptions } from '../../../lib/amqp/amqp-properties';
import { NO_PROPERTIES } from '../../support/amqplib/no-properties';

const TEXTS = {
  messageId: 'm',
  correlationId: 'c',
  replyTo: 'r',
  type: 't',
  appId: 'a',
  userId: 'u',
  contentType: 'ct',
  contentEncoding: 'ce',
};
/** As amqplib decodes a member of this name. */
const withPrototype = (members: object, inherited: object): object =>
  Object.setPrototypeOf({ ...members }, inherited) as object;

describe('properties from the wire', () => {
  it('are those that are there, in the types of JavaScript', () => {
    expect(fromAmqp({ ...NO_PROPERTIES })).toStrictEqual({});
    const given = { ...NO_PROPERTIES, ...TEXTS, timestamp: 1, expiration: '250', priority: 0, headers: { a: 1 } };
    expect(fromAmqp(given)).toStrictEqual({
      ...TEXTS,
      timestamp: new Date(1000),
      expiration: 250,
      priority: 0,
      headers: { a: 1 },
    });
  });

  it.each(['', 'soon', '1s', ' 1', '-1', '1.5'])('have no expiration that is no number of ms: `%s`', (expiration) => {
    expect(fromAmqp({ ...NO_PROPERTIES, expiration })).toStrictEqual({});
  });

  it('have no time that no Date can hold', () => {
    expect(fromAmqp({ ...NO_PROPERTIES, timestamp: 8_640_000_000_000 })).toStrictEqual({
      timestamp: new Date(8.64e15),
    });
    expect(fromAmqp({ ...NO_PROPERTIES, timestamp: 8_640_000_000_001 })).toStrictEqual({});
    expect(fromAmqp({ ...NO_PROPERTIES, timestamp: 0 })).toStrictEqual({ timestamp: new Date(0) });
  });

  it('are not what their names do not mean', () => {
    const odd = Object.fromEntries(Object.keys(NO_PROPERTIES).map((name) => [name, true]));
    expect(fromAmqp({ ...NO_PROPERTIES, ...odd, headers: undefined })).toStrictEqual({});
  });

  it('have the headers themselves, when each member is its own', () => {
    const headers = { a: [1, { b: Buffer.from('c') }], d: null, e: { f: {} } };
    expect(fromAmqp({ ...NO_PROPERTIES, headers }).headers).toBe(headers);
  });

  it('have headers without inherited members, at any depth, and the rest as it was', () => {
    const kept = { list: [1, { b: 2 }] };
    const buffer = Buffer.from('buffer');
    const headers = {
      kept,
      buffer,
      list: [1, withPrototype({ own: 1 }, { inherited: 1 })],
      table: { inner: withPrototype({}, { inherited: 1 }), beside: 'it' },
    };
    const { headers: read } = fromAmqp({ ...NO_PROPERTIES, headers });
    expect(read).toStrictEqual({ kept, buffer, list: [1, { own: 1 }], table: { inner: {}, beside: 'it' } });
    expect(read?.['kept']).toBe(kept);
    expect(read?.['buffer']).toBe(buffer);
    const outer = fromAmqp({ ...NO_PROPERTIES, headers: withPrototype({ own: 1 }, { inherited: 1 }) }).headers;
    expect(outer).toStrictEqual({ own: 1 });
  });
});

describe('a message that amqplib has parsed', () => {
  const message = (properties: object) =>
    new AmqplibMessage({
      content: Buffer.from('x'),
      fields: {},
      properties: { ...NO_PROPERTIES, ...properties },
    } as never);

  it('has what decoding its body takes, if that is what it should be', () => {
    const { contentType, contentEncoding, headers } = message({ ...TEXTS, headers: { a: 1 } });
    expect({ contentType, contentEncoding, headers }).toEqual({
      contentType: 'ct',
      contentEncoding: 'ce',
      headers: { a: 1 },
    });
    for (const odd of [{}, { contentType: 1, contentEncoding: {}, headers: 'text' }, { headers: null }]) {
      const read = message(odd);
      expect([read.contentType, read.contentEncoding, read.headers]).toEqual([undefined, undefined, undefined]);
    }
  });

  it('decodes its properties once', () => {
    const one = message(TEXTS);
    expect(one.properties).toEqual(TEXTS);
    expect(one.properties).toBe(one.properties);
  });
});

describe('properties to the wire', () => {
  const plain = {
    exchange: '',
    routingKey: 'q',
    content: Buffer.alloc(0),
    messageId: 'm',
    persistent: true,
    mandatory: false,
    contentType: undefined,
    properties: undefined,
  };
  const said = { messageId: 'm', persistent: true, mandatory: false };

  it('are no more than what is there', () => {
    expect(publishOptions(plain)).toStrictEqual(said);
    expect(publishOptions({ ...plain, contentType: 't' })).toStrictEqual({ ...said, contentType: 't' });
    expect(publishOptions({ ...plain, properties: {} })).toStrictEqual(said);
    expect(publishOptions({ ...plain, contentType: 't', properties: { priority: 0 } })).toStrictEqual({
      ...said,
      contentType: 't',
      priority: 0,
    });
  });

  it('are in the types of AMQP; what is left of the time counts', () => {
    const properties = { timestamp: new Date(1999), expiration: 1500.9, headers: { a: 1 }, type: 't' };
    const expected = { ...said, timestamp: 1, expiration: '1500', headers: { a: 1 }, type: 't' };
    expect(publishOptions({ ...plain, properties })).toStrictEqual(expected);
    expect(publishOptions({ ...plain, properties }, '12')).toStrictEqual({ ...expected, expiration: '12' });
    expect(publishOptions(plain, '12')).toStrictEqual({ ...said, expiration: '12' });
    expect(publishOptions({ ...plain, properties: { expiration: 0 } })).toStrictEqual({ ...said, expiration: '0' });
  });
});
