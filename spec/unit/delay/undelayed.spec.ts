import { EXCHANGE, EXPIRATION, HEADER, PREFIX, TO } from '../../../lib/delay/levels';
import { undelayed } from '../../../lib/delay/undelayed';
import type { Arguments, MessageProperties } from '../../../lib/properties';
import type { InboundMessage } from '../../../lib/transport/transport';

function arrived(headers: Arguments | undefined, more: Partial<InboundMessage> = {}): InboundMessage {
  const properties: MessageProperties = { messageId: 'm1', type: 'order', ...(headers && { headers }) };
  return {
    content: Buffer.from('body'),
    deliveryTag: 7,
    redelivered: true,
    exchange: `${PREFIX}classic.exit`,
    routingKey: 'order.paid',
    contentType: 'text/plain',
    contentEncoding: 'gzip',
    headers,
    properties,
    unreadable: undefined,
    ...more,
  };
}
const LEVEL = `${PREFIX}classic.9`;
const PASS = `${PREFIX}classic.8.pass`;
const WAITED = { [TO]: 'exchange', [EXCHANGE]: 'events', [`${HEADER}9`]: 'exit' };
const death = (more: object): object => ({ queue: 'orders', reason: 'rejected', exchange: PASS, count: 1, ...more });
const LEVELS = [
  death({ queue: LEVEL, reason: 'expired' }),
  death({ queue: `${PREFIX}quorum.4`, reason: 'expired', exchange: '' }),
];
const headersOf = (headers: Arguments): Arguments | undefined => undelayed(arrived({ ...WAITED, ...headers })).headers;

it.each([
  ['no headers', undefined],
  ['headers of its own', { tenant: 'north', 'x-death': [death({})] }],
])('a message with %s is as it came', (_, headers) => {
  const message = arrived(headers);
  expect(undelayed(message)).toBe(message);
});

describe('a message that has waited', () => {
  it('is as it was sent', () => {
    const message = arrived({ ...WAITED, tenant: 'north', [EXPIRATION]: 1000 });
    const { content, deliveryTag, redelivered, exchange, routingKey, ...more } = undelayed(message);
    expect({ content, deliveryTag, redelivered, exchange, routingKey }).toEqual({
      content: message.content,
      deliveryTag: 7,
      redelivered: true,
      exchange: 'events',
      routingKey: 'order.paid',
    });
    expect(more).toMatchObject({ contentType: 'text/plain', contentEncoding: 'gzip', headers: { tenant: 'north' } });
    expect(undelayed(message).properties).toEqual({
      messageId: 'm1',
      type: 'order',
      expiration: 1000,
      headers: { tenant: 'north' },
    });
  });

  it('is unreadable for the same reason', () => {
    const unreadable = new Error('no table');
    expect(undelayed(arrived(WAITED, { unreadable })).unreadable).toBe(unreadable);
  });

  it('has no expiration unless it was sent with one', () => {
    for (const expiration of [undefined, 'soon'])
      expect(undelayed(arrived({ ...WAITED, [EXPIRATION]: expiration })).properties).not.toHaveProperty('expiration');
  });

  it('for a queue comes from the default exchange; a dead letter of it from where it came', () => {
    expect(undelayed(arrived({ [TO]: 'queue' })).exchange).toBe('');
    expect(undelayed(arrived({ [TO]: 'queue', [EXCHANGE]: 5 })).exchange).toBe('');
    expect(undelayed(arrived(WAITED, { exchange: 'dead' })).exchange).toBe('dead');
  });

  it('has died of nothing, where it only passed its levels', () => {
    const first = { 'x-first-death-queue': LEVEL, 'x-first-death-reason': 'expired', 'x-first-death-exchange': '' };
    const last = { 'x-last-death-queue': LEVEL, 'x-last-death-reason': 'expired', 'x-last-death-exchange': PASS };
    expect(headersOf({ ...first, ...last, 'x-death': LEVELS, tenant: 'north' })).toEqual({ tenant: 'north' });
  });

  it('has died where it died since, the latest first, of what was published where it was sent to', () => {
    const [later, earlier] = [death({ queue: 'invoices', exchange: 'retries' }), death({ reason: 'expired' })];
    const first = { 'x-first-death-queue': LEVEL, 'x-first-death-reason': 'expired', 'x-first-death-exchange': PASS };
    const last = { 'x-last-death-queue': 'invoices', 'x-last-death-reason': 'rejected' };
    const headers = { ...first, ...last, 'x-last-death-exchange': 'retries', 'x-death': [later, earlier, ...LEVELS] };
    expect(headersOf(headers)).toEqual({
      'x-death': [later, { ...earlier, exchange: 'events' }],
      'x-first-death-queue': 'orders',
      'x-first-death-reason': 'expired',
      'x-first-death-exchange': 'events',
      ...last,
      'x-last-death-exchange': 'retries',
    });
  });

  it('and passed other levels since has died last where it died', () => {
    const real = death({ exchange: 'retries' });
    const last = { 'x-last-death-queue': LEVEL, 'x-last-death-reason': 'expired', 'x-last-death-exchange': '' };
    expect(headersOf({ ...last, 'x-death': [LEVELS[0], real, death({ reason: 'maxlen', queue: 'first' })] })).toEqual({
      'x-death': [real, death({ reason: 'maxlen', queue: 'first', exchange: 'events' })],
      'x-last-death-queue': 'orders',
      'x-last-death-reason': 'rejected',
      'x-last-death-exchange': 'retries',
    });
  });

  it('died last of what came to its queue from its last level', () => {
    const last = { 'x-last-death-queue': 'orders', 'x-last-death-reason': 'rejected', 'x-last-death-exchange': PASS };
    expect(headersOf({ ...last, 'x-death': [death({})] })).toMatchObject({
      ...last,
      'x-last-death-exchange': 'events',
    });
  });

  it('keeps nonsense that someone wrote where deaths are', () => {
    const nonsense = { 'x-death': 'none', 'x-first-death-queue': LEVEL };
    expect(headersOf(nonsense)).toEqual(nonsense);
    expect(headersOf({ 'x-death': [null, 5] })).toEqual({ 'x-death': [null, 5] });
  });
});
