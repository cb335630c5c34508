import { defineExchange, defineQueue, json, OptionsError, type OutboundMessage } from 'instance-queue';
import { checkMessage, propertiesOf } from '../../../lib/producer/outbound-message';

const TOO_LONG = 'ä'.repeat(128);
const routed = { queue: 'orders', body: 1 };

/** A value of each property that is sent, and one that is refused. */
const PROPERTIES: readonly [keyof OutboundMessage, unknown, unknown][] = [
  ['correlationId', 'c', TOO_LONG],
  ['replyTo', 'answers', TOO_LONG],
  ['type', 'created', TOO_LONG],
  ['appId', 'shop', TOO_LONG],
  ['userId', 'ann', TOO_LONG],
  ['contentEncoding', 'gzip', TOO_LONG],
  ['timestamp', new Date(), 5],
  ['expiration', 1000, -1],
  ['priority', 9, 256],
  ['headers', { mine: 1 }, 'mine'],
];

describe('a message', () => {
  it.each(PROPERTIES)('with the property `%s` alone is sent with just that', (name, value) => {
    const message = { ...routed, [name]: value } as OutboundMessage;
    expect(() => {
      checkMessage(message);
    }).not.toThrow();
    expect(propertiesOf(message)).toEqual({ [name]: value });
  });

  it('without any has none', () => {
    expect(propertiesOf({ body: 1 })).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ...PROPERTIES.map(([name, , wrong]): [string, unknown] => [name, wrong]),
    ['messageId', TOO_LONG],
    ['contentType', TOO_LONG],
    ['persistent', 1],
    ['mandatory', 'yes'],
    ['streamFilter', 5],
    ['delay', -1],
    ['at', 'tomorrow'],
    ['priority', 0.5],
    ['expiration', 2 ** 32],
    ['expiration', NaN],
  ])('with a wrong `%s` is refused by name: %p', (name, wrong) => {
    let thrown: unknown;
    try {
      checkMessage({ ...routed, [name]: wrong });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OptionsError);
    expect(thrown).toMatchObject({ option: name });
  });

  it.each([
    ['no route', {}, /queue|exchange/],
    ['two routes', { queue: 'a', exchange: 'b' }, /either/],
    ['a routing key beside a queue', { queue: 'a', routingKey: 'k' }, /routingKey/],
    ['a routing key that is too long', { exchange: 'a', routingKey: TOO_LONG }, /routingKey/],
    ['a queue whose name is too long', { queue: TOO_LONG }, /queue/],
    ['a queue without a name', { queue: '' }, /needs the name of a queue/],
    ['an exchange that is no name', { exchange: 5 }, /Expected `exchange`/],
    ['an exchange that is null', { exchange: null }, /Expected `exchange`/],
    ['a queue that is null', { queue: null }, /Expected `queue`/],
    ['a queue by a spec that is no contract', { queue: { name: 'a' } }, /Expected `queue`/],
    ['an unknown member', { queue: 'a', quue: 1 }, /Unknown option `quue` for a message. Did you mean `queue`\?/],
  ])('with %s is refused', (_what, given, sentence) => {
    expect(() => {
      checkMessage({ body: 1, ...given });
    }).toThrow(sentence);
  });

  it.each<[string, object]>([
    ['queue', { queue: defineQueue({ name: 'orders', body: json() }) }],
    ['exchange', { exchange: defineExchange({ name: 'events', type: 'topic', messages: { paid: json() } }) }],
  ])('to the %s of a contract is checked as any other', (_which, to) => {
    const check = (more: object) => (): void => {
      checkMessage({ ...to, body: 1, ...more });
    };
    expect(check({ priority: 9, headers: {} })).not.toThrow();
    expect(check({ priority: 256 })).toThrow('Expected `priority` to be');
    expect(check({ messageId: TOO_LONG })).toThrow('Expected `messageId` to be');
    expect(check({ prio: 1 })).toThrow('Unknown option `prio` for a message.');
    expect(check({ queue: 'other', exchange: 'other' })).toThrow(/either/);
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [[1], 'an array'],
    ['secret', 'string'],
  ])('cannot be %p, which no error repeats', (value, named) => {
    const check = (): void => {
      checkMessage(value);
    };
    expect(check).toThrow(new TypeError(`Expected an object with a route and a \`body\`, got ${named}.`));
  });

  it('says what to filter a stream by in a header, which may not say something else', () => {
    const filtered = { ...routed, streamFilter: 'eu', headers: { mine: 1 } };
    expect(propertiesOf(filtered)).toEqual({ headers: { mine: 1, 'x-stream-filter-value': 'eu' } });
    const twice = { ...filtered, headers: { 'x-stream-filter-value': 'eu' } };
    expect(propertiesOf(twice)).toEqual({ headers: { 'x-stream-filter-value': 'eu' } });
    expect(() => propertiesOf({ ...filtered, headers: { 'x-stream-filter-value': 'us' } })).toThrow(
      '`streamFilter` and the header `x-stream-filter-value` differ',
    );
  });
});
