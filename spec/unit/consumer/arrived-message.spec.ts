import { ArrivedMessage } from '../../../lib/consumer/channel-delivery';
import type { InboundMessage } from '../../../lib/transport/transport';
import { inbound } from '../../support/inbound-channel';

type Headers = Readonly<Record<string, unknown>>;

const arrived = (headers?: Headers, redelivered = false): InboundMessage =>
  inbound(1, {
    content: Buffer.from('body'),
    redelivered,
    exchange: 'events',
    routingKey: 'order.paid',
    headers,
    properties: { messageId: 'm' },
  });
const retried = {
  'x-instance-queue-attempts': 2,
  'x-instance-queue-queue': 'orders',
  'x-instance-queue-exchange': 'shop',
  'x-instance-queue-routing-key': 'order.new',
};
const { 'x-instance-queue-attempts': _, ...route } = retried;
const replayed = { ...route, 'x-instance-queue-replays': 1 };

describe('a message that arrived', () => {
  it('has its bytes beside its body, its queue, and its properties', () => {
    const message = new ArrivedMessage(arrived(), 'orders', { id: 1 });
    expect(message.properties).toEqual({ messageId: 'm' });
    expect(Object.fromEntries(Object.entries(message))).toEqual({
      body: { id: 1 },
      content: Buffer.from('body'),
      queue: 'orders',
      exchange: 'events',
      routingKey: 'order.paid',
      redelivered: false,
      deliveryCount: 0,
    });
  });

  it.each<[string, Headers | undefined, boolean, number]>([
    ['that nobody counts', undefined, false, 0],
    ['that nobody counts, and that comes again', undefined, true, 1],
    ['that its queue counts', { 'x-delivery-count': 3 }, true, 3],
    ['that its queue counts from 0', { 'x-delivery-count': 0 }, true, 0],
    ['with a count below 0', { 'x-delivery-count': -1 }, true, 1],
    ['with a count that is no integer', { 'x-delivery-count': 1.5 }, false, 0],
    ['with a count that is none', { 'x-delivery-count': 'many' }, true, 1],
    ['that came back from `retry`', retried, false, 2],
    ['that came back from `retry`, and comes again', retried, true, 3],
    ['that came back from `retry`, and is counted since', { ...retried, 'x-delivery-count': 4 }, true, 6],
    ['that came back from `retry` to another queue', { ...retried, 'x-instance-queue-queue': 'other' }, false, 0],
  ])('was delivered so often before: %s', (_what, headers, redelivered, count) => {
    expect(new ArrivedMessage(arrived(headers, redelivered), 'orders', 1)).toMatchObject({
      redelivered,
      deliveryCount: count,
    });
  });

  it.each<[string, Headers, string, string]>([
    ['`retry` put back', retried, 'shop', 'order.new'],
    ['a replay sent back', replayed, 'shop', 'order.new'],
    ['failed in another queue', { ...replayed, 'x-instance-queue-queue': 'other' }, 'events', 'order.paid'],
    [
      'was replayed without a word of its route',
      { ...replayed, 'x-instance-queue-exchange': 5 },
      'events',
      'order.paid',
    ],
    [
      'was replayed with half a route',
      { ...replayed, 'x-instance-queue-routing-key': undefined },
      'events',
      'order.paid',
    ],
    ['names a route, and was never replayed', route, 'events', 'order.paid'],
  ])('tells where it was first published, if it %s', (_what, headers, exchange, routingKey) => {
    expect(new ArrivedMessage(arrived(headers), 'orders', 1)).toMatchObject({ exchange, routingKey });
  });

  it('of a stream has its offset, and how often it was handed out, whatever its headers say', () => {
    const counted = arrived({ 'x-delivery-count': 9 }, true);
    const first = new ArrivedMessage(counted, 'log', 1, { offset: 0, attempts: 0 });
    const again = new ArrivedMessage(counted, 'log', 1, { offset: 7, attempts: 2 });
    expect(first).toMatchObject({ offset: 0, redelivered: false, deliveryCount: 0 });
    expect(again).toMatchObject({ offset: 7, redelivered: true, deliveryCount: 2 });
    expect(new ArrivedMessage(counted, 'log', 1)).not.toHaveProperty('offset');
  });

  it('of a partition has its number, also that of the first', () => {
    expect(new ArrivedMessage(arrived(), 'orders.0', 1, undefined, 0)).toMatchObject({ partition: 0 });
    expect(new ArrivedMessage(arrived(), 'orders', 1)).not.toHaveProperty('partition');
  });

  it.each([
    [undefined, undefined],
    [{}, undefined],
    [{ 'x-stream-filter-value': 'eu' }, 'eu'],
    [{ 'x-stream-filter-value': 5 }, undefined],
  ])('has the filter value of its headers, if that is a text: %j', (headers, value) => {
    expect(new ArrivedMessage(arrived(headers), 'log', 1).streamFilter).toBe(value);
  });
});
