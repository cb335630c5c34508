import { Delayed, type DelayOptions, isDelayed } from '../../../lib/delay/delayed';
import { LONGEST_DELAY } from '../../../lib/delay/levels';
import type { Arguments, MessageProperties } from '../../../lib/properties';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

interface Given {
  readonly queue?: string;
  readonly exchange?: string;
  readonly routingKey?: string;
  readonly properties?: MessageProperties;
}
function delayed(
  options: DelayOptions,
  { queue, exchange = '', routingKey = 'orders', properties }: Given = {},
): Delayed {
  const one = new Delayed(options, 'classic', properties?.headers);
  one.belongsTo({ queue, exchange, routingKey, properties, mandatory: false });
  return one;
}
const made = (options: DelayOptions, headers?: Arguments) => (): unknown => new Delayed(options, 'quorum', headers);

describe('a delay', () => {
  it.each<[string, DelayOptions]>([
    ['a number of ms', { delay: 1000 }],
    ['a time of the clock', { at: new Date(Date.now() + 1000) }],
  ])('passes, from its send on: %s', (_, options) => {
    const at = 'at' in options ? new Date(Date.now() + 1000) : undefined;
    const one = delayed(at ? { at } : options);
    expect([one.total, one.left]).toEqual([1000, 1000]);
    jest.advanceTimersByTime(999);
    expect(one.left).toBe(1);
    expect(one.plan).toBeDefined();
    jest.advanceTimersByTime(1);
    expect([one.total, one.left, one.plan]).toEqual([1000, 0, undefined]);
  });

  it('that has passed is none', () => {
    const past = delayed({ at: new Date(Date.now() - 1000) });
    expect([past.total, past.left, past.plan]).toEqual([0, -1000, undefined]);
    expect(delayed({ delay: 0 }).plan).toBeUndefined();
  });

  it('is 8 years at most', () => {
    expect(made({ delay: LONGEST_DELAY })).not.toThrow();
    expect(made({ delay: LONGEST_DELAY + 1 })).toThrow(RangeError);
    expect(made({ at: new Date(Date.now() + LONGEST_DELAY) })).not.toThrow();
    expect(made({ at: new Date(Date.now() + LONGEST_DELAY + 1) })).toThrow('8 years at most');
  });

  it('is said in one way, of a message with one route', () => {
    expect(made({ delay: 1, at: new Date() })).toThrow('not both');
    for (const name of ['CC', 'BCC'])
      expect(made({ delay: 1 }, { [name]: ['a'] })).toThrow(`without the header \`${name}\``);
    expect(made({ delay: 1 }, { tenant: 'north' })).not.toThrow();
  });
});

describe('a message on the wire', () => {
  it.each<[string, Given, object]>([
    ['a queue', { queue: 'orders' }, { queue: 'orders' }],
    ['a queue, by the default exchange', {}, { queue: 'orders' }],
    ['an exchange', { exchange: 'events', routingKey: 'order.paid' }, { exchange: 'events' }],
  ])('is for %s', (_, given, target) => {
    const one = delayed({ delay: 1000 }, given);
    expect([one.target, one.exchange]).toEqual([target, given.exchange ?? '']);
  });

  it('waits while its time has not come, and is as it was sent then', () => {
    const properties = { messageId: 'm1', expiration: 500, headers: { tenant: 'north' } };
    const one = delayed({ delay: 1000 }, { exchange: 'events', properties });
    const { exchange, properties: sent, mandatory } = one.wire(one.plan, false);
    expect([one.waits, exchange, mandatory]).toEqual([true, 'instance-queue.delay.v1.classic.9.enter', true]);
    expect(sent).toMatchObject({
      messageId: 'm1',
      headers: {
        tenant: 'north',
        'iq-delay-to': 'exchange',
        'iq-delay-exchange': 'events',
        'iq-delay-expiration': 500,
      },
    });
    expect(sent).not.toHaveProperty('expiration');
    jest.advanceTimersByTime(1000);
    expect(one.wire(one.plan, false)).toEqual({ exchange: 'events', properties, mandatory: false });
    expect(one.waits).toBe(false);
  });

  it('without an expiration has no header for it', () => {
    const one = delayed({ delay: 1000 });
    expect(one.wire(one.plan, true).properties?.headers).toMatchObject({ 'iq-delay-to': 'volatile' });
    expect(one.wire(one.plan, true).properties?.headers).not.toHaveProperty(['iq-delay-expiration']);
  });
});

it('a message is delayed if it says when', () => {
  const messages = [{ delay: 0 }, { at: new Date() }, {}, { delay: undefined, at: undefined }, undefined, 'delay'];
  expect(messages.map(isDelayed)).toEqual([true, true, false, false, false, false]);
});
