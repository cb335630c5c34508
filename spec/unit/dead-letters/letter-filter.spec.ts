import { type DeadLetter, readDeadLetter } from '../../../lib/dead-letters/dead-letter';
import { type DeadLetterFilter, matcher, where } from '../../../lib/dead-letters/letter-filter';
import { OptionsError } from '../../../lib/errors';
import { OWN } from '../../../lib/own-headers';
import type { Arguments, MessageProperties } from '../../../lib/properties';
import type { InboundMessage } from '../../../lib/transport/transport';
import { rejection } from '../../support/waiting';

/** Seconds, as in AMQP's timestamps. */
const DIED = 1_700_000_000;

interface Given {
  readonly headers?: Arguments;
  readonly properties?: Omit<MessageProperties, 'headers'>;
  readonly body?: string;
}

function letter({ headers = {}, properties = {}, body = '' }: Given): DeadLetter {
  const message: InboundMessage = {
    content: Buffer.from(body),
    deliveryTag: 1,
    redelivered: false,
    exchange: 'dead',
    routingKey: 'dead.key',
    contentType: undefined,
    contentEncoding: undefined,
    headers,
    properties: { ...properties, headers },
    unreadable: undefined,
  };
  return readDeadLetter(message, 'orders.dead');
}

const death = (more: object = {}): object => ({
  queue: 'orders',
  reason: 'rejected',
  exchange: 'events',
  'routing-keys': ['order.paid', 'order.*'],
  time: { '!': 'timestamp', value: DIED },
  count: 1,
  ...more,
});
const RETRIED = {
  [OWN.queue]: 'orders',
  [OWN.exchange]: 'events',
  [OWN.routingKey]: 'order.paid',
  [OWN.errorName]: 'TypeError',
  [OWN.errorMessage]: 'no price for 12',
  [OWN.firstFailed]: '2023-11-14T22:13:20.000Z',
  [OWN.attempts]: 3,
};

describe('a dead letter says what its headers say', () => {
  it('where the broker names the queue, the reason, the time and the way', () => {
    expect(letter({ headers: { 'x-death': [death()] }, properties: { messageId: 'm' } })).toMatchObject({
      messageId: 'm',
      reason: 'rejected',
      queue: 'orders',
      diedAt: new Date(1000 * DIED),
      published: { exchange: 'events', routingKey: 'order.paid' },
      error: undefined,
      attempts: 0,
      replays: 0,
    });
  });

  it('where `retry` moved it: its error, its attempts, when it failed first, and where it was published to', () => {
    expect(letter({ headers: { ...RETRIED, [OWN.spent]: true, [OWN.replays]: 2 } })).toMatchObject({
      reason: 'failed',
      queue: 'orders',
      error: { name: 'TypeError', message: 'no price for 12' },
      diedAt: new Date(1000 * DIED),
      published: { exchange: 'events', routingKey: 'order.paid' },
      attempts: 3,
      replays: 2,
    });
  });

  it('where it failed in another queue since: what `retry` wrote is about an earlier one', () => {
    const headers = {
      ...RETRIED,
      'x-death': [death({ queue: 'invoices', exchange: '', 'routing-keys': ['invoices'] })],
    };
    expect(letter({ headers })).toMatchObject({
      queue: 'invoices',
      error: undefined,
      attempts: 0,
      published: { exchange: '', routingKey: 'invoices' },
    });
  });

  it.each([
    [
      'the latest failure, whatever it waited in since',
      [death({ reason: 'expired', queue: 'wait' }), death()],
      'rejected',
      'orders',
    ],
    [
      'a delivery limit is a failure',
      [death({ reason: 'expired', queue: 'wait' }), death({ reason: 'delivery_limit' })],
      'delivery_limit',
      'orders',
    ],
    [
      'without a failure, how it came here last, from where it was first',
      [death({ reason: 'expired' }), death({ reason: 'maxlen', queue: 'first' })],
      'expired',
      'first',
    ],
  ])('%s', (_what, deaths, reason, queue) => {
    expect(letter({ headers: { 'x-death': deaths } })).toMatchObject({ reason, queue });
  });

  it.each([
    ['nothing', {}],
    ['no list', { 'x-death': 'rejected' }],
    [
      'entries of other kinds',
      { 'x-death': [null, 'rejected', { queue: 1, reason: 'rejected' }, { queue: 'orders' }] },
    ],
    [
      'headers of `retry` of other types',
      { [OWN.queue]: 7, [OWN.attempts]: 'three', [OWN.replays]: 1.5, [OWN.spent]: 'true' },
    ],
  ])('%s is unknown, and no error', (_what, headers) => {
    expect(letter({ headers, properties: { timestamp: new Date(5) } })).toMatchObject({
      reason: 'unknown',
      queue: undefined,
      error: undefined,
      diedAt: new Date(5),
      published: undefined,
      attempts: 0,
      replays: 0,
    });
  });

  it('entries that lack an exchange, a key or a time', () => {
    const entry = { queue: 'orders', reason: 'rejected', time: 'noon', 'routing-keys': 'none' };
    expect(letter({ headers: { 'x-death': [entry] } })).toMatchObject({
      diedAt: undefined,
      published: { exchange: '', routingKey: '' },
    });
    expect(letter({ headers: { 'x-death': [{ ...entry, time: DIED, 'routing-keys': [] }] } })).toMatchObject({
      diedAt: new Date(1000 * DIED),
      published: { exchange: '', routingKey: '' },
    });
  });

  it('an error without a message, and a time that is none', () => {
    const headers = { ...RETRIED, [OWN.errorMessage]: undefined, [OWN.exchange]: undefined, [OWN.firstFailed]: 'noon' };
    expect(letter({ headers })).toMatchObject({
      error: { name: 'TypeError', message: '' },
      diedAt: undefined,
      published: { exchange: '', routingKey: 'order.paid' },
    });
  });
});

describe('a filter means the letters to which all of it applies', () => {
  const one = letter({
    headers: {
      ...RETRIED,
      [OWN.spent]: true,
      tenant: 'north',
      size: 5,
      tags: ['new', 1],
      place: { row: 7 },
      'x-death': [death({ reason: 'expired', queue: 'wait' })],
    },
    properties: { messageId: 'm1', type: 'order' },
    body: 'price: 12 €',
  });
  const age = Date.now() - 1000 * DIED;

  it.each<[DeadLetterFilter, DeadLetterFilter]>([
    [{ messageId: 'm1' }, { messageId: 'm' }],
    [{ reason: 'failed' }, { reason: 'expired' }],
    [{ queue: 'orders' }, { queue: 'wait' }],
    [{ type: 'order' }, { type: 'orders' }],
    [{ error: 'TypeError' }, { error: 'Type' }],
    [{ error: 'no price' }, { error: 'No price' }],
    [{ headers: { tenant: 'north' } }, { headers: { tenant: 'nor' } }],
    [{ headers: { size: '5', tenant: 'north' } }, { headers: { size: 5, tenant: 'south' } }],
    [{ headers: { tags: ['new', 1] } }, { headers: { tags: ['new'] } }],
    [{ headers: { place: { row: 7 } } }, { headers: { place: { row: 8 } } }],
    [{ headers: { tags: '["new",1]' } }, { headers: { place: '[object Object]' } }],
    [{ headers: {} }, { headers: { absent: 'undefined' } }],
    [{ text: '12 €' }, { text: '13' }],
    [{ olderThan: age - 60_000 }, { olderThan: age + 60_000 }],
    [{ newerThan: age + 60_000 }, { newerThan: age - 60_000 }],
    [{ before: new Date(1000 * DIED + 1) }, { before: new Date(1000 * DIED - 1) }],
    [
      { before: new Date(1000 * DIED), olderThan: 0 },
      { before: new Date(1000 * DIED), olderThan: age + 60_000 },
    ],
    [
      { messageId: 'm1', reason: 'failed' },
      { messageId: 'm1', reason: 'rejected' },
    ],
  ])('%j, and not %j', (fits, doesNot) => {
    expect(matcher(fits)(one)).toBe(true);
    expect(matcher(doesNot)(one)).toBe(false);
  });

  it('none means all, a function what it says', () => {
    expect(matcher(undefined)(one)).toBe(true);
    expect(matcher({})(one)).toBe(true);
    expect(matcher(({ messageId }) => messageId === 'm1')(one)).toBe(true);
    expect(matcher(() => false)(one)).toBe(false);
  });

  it('a letter without a time, an error or a type is not meant by a filter of one', () => {
    const bare = letter({});
    for (const filter of [{ olderThan: 0 }, { newerThan: age }, { before: new Date() }, { error: '' }, { type: '' }])
      expect([filter, matcher(filter)(bare)]).toEqual([filter, false]);
    expect(matcher({ text: '' })(bare)).toBe(true);
  });

  it('a letter with a time that no date can hold is not meant by a filter of one', () => {
    const later = letter({
      headers: { 'x-death': [death({ time: { '!': 'timestamp', value: DIED * 1_000_000_000 } })] },
    });
    expect(later.diedAt).toBeUndefined();
    for (const filter of [{ olderThan: 0 }, { newerThan: age }, { before: new Date() }])
      expect([filter, matcher(filter)(later)]).toEqual([filter, false]);
  });

  it.each([
    ['where.messageId', { messageId: 5 }],
    ['where.olderThan', { olderThan: -1 }],
    ['where.newerThan', { newerThan: Number.NaN }],
    ['where.before', { before: 'noon' }],
    ['where.headers', { headers: 'tenant' }],
    ['where.mesageId', { mesageId: 'm1' }],
  ])('%s is refused if it is wrong', async (option, filter) => {
    const refused = await rejection(Promise.resolve().then(() => matcher(filter as DeadLetterFilter)));
    expect(refused).toBeInstanceOf(OptionsError);
    expect((refused as OptionsError).message).toContain(option);
  });

  it('`where` is a filter or a function', () => {
    expect([where({}), where(() => true)]).toEqual([undefined, undefined]);
    expect(where('m1')).toBe('a filter or a function');
  });
});
