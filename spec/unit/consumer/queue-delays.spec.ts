import fc from 'fast-check';
import type { QueueSpec } from '../../../lib/topology';
import { QueueDelays } from '../../../lib/consumer/queue-delays';
import type { Link } from '../../../lib/transport/transport';

const link = (version: string): Link =>
  ({ broker: { product: 'RabbitMQ', version }, quorumDeliveryLimit: 20 }) as Partial<Link> as Link;
const on43 = (spec: Omit<QueueSpec, 'name'>): QueueDelays | undefined =>
  QueueDelays.of({ name: 'q', ...spec }, link('4.3.0'));

describe('what is known of how long messages wait in their own queue', () => {
  it('is what the spec says, on RabbitMQ 4.3', () => {
    expect(on43({ type: 'quorum', delayedRetry: { min: 5 } })).toEqual(new QueueDelays(5, 5, 20));
    expect(on43({ type: 'quorum', delayedRetry: { type: 'all', min: 5, max: 9 }, deliveryLimit: 3 })).toEqual(
      new QueueDelays(5, 9, 3),
    );
    expect(on43({ type: 'quorum', delayedRetry: { min: 5 }, deliveryLimit: -1 })?.deliveryLimit).toBe(Infinity);
    const verbatim = { 'x-queue-type': 'quorum', 'x-delayed-retry-type': 'failed', 'x-delayed-retry-min': 7 };
    expect(on43({ arguments: verbatim })).toEqual(new QueueDelays(7, 7, 20));
  });

  it.each<[string, QueueSpec | undefined, string]>([
    ['without a spec', undefined, '4.3.0'],
    ['of a queue that says nothing of it', { name: 'q', type: 'quorum' }, '4.3.0'],
    [
      'of one that delays what is released',
      { name: 'q', type: 'quorum', delayedRetry: { type: 'returned', min: 5 } },
      '4.3.0',
    ],
    ['before 4.3', { name: 'q', type: 'quorum', delayedRetry: { min: 5 } }, '4.2.9'],
  ])('is nothing %s', (_name, spec, version) => {
    expect(QueueDelays.of(spec, link(version))).toBeUndefined();
  });
});

describe('delays that are asked for', () => {
  it.each([
    [new QueueDelays(100, 100, 20), [100], 3, true],
    [new QueueDelays(100, 100, 20), [100, 100], 21, true],
    [new QueueDelays(100, 300, 20), [100, 200, 300], 10, true],
    [new QueueDelays(100, 250, 20), [100, 200, 250], 10, true],
    [new QueueDelays(100, 300, 20), [100, 200], 3, true],
    [new QueueDelays(100, 300, 20), [100, 200], 4, false],
    [new QueueDelays(100, 200, 20), [100], 3, false],
    [new QueueDelays(100, 200, 20), [100], 2, true],
    [new QueueDelays(100, 100, 20), [101], 3, false],
    [new QueueDelays(100, 100, 20), [100], 22, false],
    [new QueueDelays(100, 100, 20), [100], Infinity, false],
    [new QueueDelays(100, 100, Infinity), [100], Infinity, true],
    [new QueueDelays(1, 2 ** 31 - 1, Infinity), [1, 2], Infinity, false],
    [new QueueDelays(100, 100, 20), [5], 1, true],
  ])('%j gives %j in %p attempts: %p', (delays, asked, attempts, gives) => {
    expect(delays.areThose(asked, attempts)).toBe(gives);
  });

  it('are those of the queue if and only if each of them is', () => {
    const number = fc.integer({ min: 1, max: 6 });
    fc.assert(
      fc.property(
        number,
        number,
        number,
        fc.array(number, { minLength: 1, maxLength: 5 }),
        (min, more, attempts, asked) => {
          const max = min + more - 1;
          const each = Array.from({ length: attempts - 1 }, (_, i) => i + 1);
          const same = each.every((n) => Math.min(min * n, max) === asked[Math.min(n, asked.length) - 1]);
          expect(new QueueDelays(min, max, 20).areThose(asked, attempts)).toBe(same);
        },
      ),
    );
  });
});
