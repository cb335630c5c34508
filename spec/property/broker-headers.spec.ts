import fc from 'fast-check';
import { brokerHeadersIn, withoutBrokerHeaders } from '../../lib/broker-headers';
import { OWN } from '../../lib/own-headers';

const brokers = [
  'x-death',
  ...['first', 'last'].flatMap((which) => ['exchange', 'queue', 'reason'].map((what) => `x-${which}-death-${what}`)),
  'x-delivery-count',
  'x-acquired-count',
  'x-stream-offset',
  'x-received-from',
];
/** Headers of applications, some with names that come close. */
const others = [
  'CC',
  'BCC',
  'x-delay',
  'X-Death',
  'x-deaths',
  'x-death-',
  'x-stream-filter-value',
  '__proto__',
  OWN.queue,
];

const entry = fc.tuple(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...brokers) },
    { weight: 2, arbitrary: fc.constantFrom(...others, OWN.attempts) },
    { weight: 2, arbitrary: fc.string() },
  ),
  fc.anything(),
);
const headers: fc.Arbitrary<Readonly<Record<string, unknown>>> = fc
  .uniqueArray(entry, { selector: ([name]) => name, maxLength: 12 })
  .map((entries) => Object.fromEntries(entries) as Record<string, unknown>);

describe('headers of a message that is published anew', () => {
  it('are those that an application may write, in their order, with their values', () => {
    fc.assert(
      fc.property(headers, (given) => {
        const before = Object.entries(given);
        const kept = withoutBrokerHeaders(given);
        const startsOver = before.some(([name]) => name === 'x-death');
        expect(Object.entries(kept)).toEqual(
          before.filter(([name]) => !brokers.includes(name) && !(startsOver && name === OWN.attempts)),
        );
        expect(brokerHeadersIn(given)).toEqual(before.map(([name]) => name).filter((name) => brokers.includes(name)));
        // What was given stays as it is: it may be those of a delivery.
        expect(Object.entries(given)).toEqual(before);
      }),
    );
  });

  it('are the same object if a broker wrote none of them, also the second time', () => {
    fc.assert(
      fc.property(headers, (given) => {
        const kept = withoutBrokerHeaders(given);
        expect(kept === given).toBe(brokerHeadersIn(given).length === 0);
        expect(withoutBrokerHeaders(kept)).toBe(kept);
      }),
    );
  });
});
