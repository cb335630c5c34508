import { type DeadLetter, readDeadLetter, sentAgain } from '../../../lib/dead-letters/dead-letter';
import { OWN } from '../../../lib/own-headers';
import type { Arguments, MessageProperties } from '../../../lib/properties';

function letter(headers: Arguments, properties: MessageProperties = {}): DeadLetter {
  const message = { content: Buffer.from(''), deliveryTag: 1, redelivered: false, exchange: 'dead', routingKey: 'k' };
  const more = { contentType: undefined, contentEncoding: undefined, unreadable: undefined };
  return readDeadLetter({ ...message, ...more, headers, properties: { ...properties, headers } }, 'orders.dead');
}
const died = (more: object = {}): object => ({
  queue: 'orders',
  reason: 'rejected',
  exchange: 'events',
  'routing-keys': ['order.paid'],
  ...more,
});
const toQueue = (routingKey: string) => ({ exchange: '', routingKey });

describe('a letter that is sent back', () => {
  const route = {
    [OWN.queue]: 'orders',
    [OWN.exchange]: 'events',
    [OWN.routingKey]: 'order.paid',
  };

  it.each<[string, Arguments, { readonly exchange: string; readonly routingKey: string }, Arguments]>([
    ['into a queue, from an exchange', { 'x-death': [died()] }, toQueue('orders'), route],
    [
      'into another queue than that to which it was published',
      { 'x-death': [died({ exchange: '', 'routing-keys': ['first'] })] },
      toQueue('orders'),
      { [OWN.queue]: 'orders', [OWN.exchange]: '', [OWN.routingKey]: 'first' },
    ],
    [
      'into a queue of the name of its first key',
      { 'x-death': [died({ 'routing-keys': ['orders'] })] },
      toQueue('orders'),
      { ...route, [OWN.routingKey]: 'orders' },
    ],
    [
      'into the queue to which it was published',
      { 'x-death': [died({ exchange: '', 'routing-keys': ['orders'] })] },
      toQueue('orders'),
      {},
    ],
    ['to an exchange', { 'x-death': [died()] }, { exchange: 'events', routingKey: 'order.paid' }, {}],
    ['from nowhere', {}, toQueue('orders'), {}],
  ])('says where it was first published to, unless its route does: %s', (_, headers, target, expected) => {
    const sent = sentAgain(letter(headers), true, target);
    const own = Object.entries(sent.headers ?? {}).filter(([name]) => name !== 'x-death');
    expect(Object.fromEntries(own)).toEqual({ [OWN.replays]: 1, ...expected });
  });

  it('counts how often it was, and says nothing more of its failures', () => {
    const failed = { [OWN.attempts]: 3, [OWN.errorName]: 'TypeError', [OWN.spent]: true, [OWN.moved]: [died()] };
    const sent = sentAgain(letter({ ...failed, [OWN.replays]: 2, tenant: 'north' }), true, toQueue('orders'));
    expect(sent.headers).toEqual({ tenant: 'north', [OWN.replays]: 3, ...route });
  });
});

describe('a letter that is moved', () => {
  it('keeps what it says of its failures, and all of its deaths, the latest first', () => {
    const [now, before] = [died({ queue: 'later' }), died()];
    const headers = { [OWN.attempts]: 3, 'x-death': [now], [OWN.moved]: [before], tenant: 'north' };
    const { headers: sent } = sentAgain(letter(headers), false, toQueue('archive'));
    expect(sent).toMatchObject({ [OWN.attempts]: 3, tenant: 'north', [OWN.moved]: [now, before] });
    expect(sent).not.toHaveProperty([OWN.replays]);
  });

  it('that died of nothing gets no list of deaths', () => {
    for (const headers of [{}, { 'x-death': 'no list' }])
      expect(sentAgain(letter(headers), false, toQueue('archive')).headers).not.toHaveProperty([OWN.moved]);
  });
});

it.each([true, false])('a letter goes with its properties, but for what would hinder it (anew: %s)', (anew) => {
  const properties = { messageId: 'm1', type: 'order', priority: 5, userId: 'shop', expiration: 1000 };
  const headers = { CC: ['a'], BCC: ['b'], tenant: 'north' };
  const sent = sentAgain(letter(headers, properties), anew, toQueue('orders'));
  expect(sent).toMatchObject({ messageId: 'm1', type: 'order', priority: 5, headers: { tenant: 'north' } });
  expect(Object.keys(sent).sort()).toEqual(['headers', 'messageId', 'priority', 'type']);
  for (const name of ['CC', 'BCC']) expect(sent.headers).not.toHaveProperty([name]);
});
