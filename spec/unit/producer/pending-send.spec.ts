import { sendOf } from '../../support/publishing-channel';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

describe('a message on its way', () => {
  it.each<[string, object, boolean]>([
    ['to a queue', { queue: 'orders' }, true],
    ['to a queue through the default exchange', { exchange: '', routingKey: 'orders' }, true],
    ['to a queue, with other headers', { queue: 'orders', headers: { mine: 1 } }, true],
    ['to a queue, with copies', { queue: 'orders', headers: { CC: ['others'] } }, false],
    ['to a queue, with hidden copies', { queue: 'orders', headers: { BCC: ['others'] } }, false],
    ['to an exchange', { exchange: 'events', routingKey: 'paid' }, false],
    [
      'to an exchange, after a delay that has not begun',
      { exchange: 'events', routingKey: 'paid', delay: 1000 },
      false,
    ],
  ])('leads to one queue at most, or may lead to several: %s', (_where, message, toOneQueue) => {
    expect(sendOf(message).entry.toOneQueue).toBe(toOneQueue);
  });

  it('leads to one queue while it waits at the broker, wherever it goes then', () => {
    const { entry } = sendOf({ exchange: 'events', routingKey: 'paid', delay: 1000 });
    entry.message.delayed?.wire(entry.message.delayed.plan, false);
    expect(entry.toOneQueue).toBe(true);
  });

  it.each<[string, object, number | undefined]>([
    ['has no limit', {}, undefined],
    ['has what is left of its expiration', { expiration: 1000 }, 900],
    ['has less than nothing once that has passed', { expiration: 50 }, -50],
    ['has no time at all, however long it waits', { expiration: 0 }, 0],
    ['has its expiration behind its delay', { expiration: 1000, delay: 400 }, 1300],
  ])('after 100 ms, %s', async (_what, more, left) => {
    const { entry } = sendOf({ queue: 'orders', ...more });
    await later(100);
    expect(entry.remaining).toBe(left);
  });
});
