import fc from 'fast-check';
import { nestsDeeper } from '../../../../lib/amqp/wire/field-table';
import { writeTable } from '../../../support/amqplib/encoder';
import { nestedTable } from '../../../support/frames/raw-publisher';

const key = fc.string({ maxLength: 5 }).filter((name) => name !== '!' && name !== '__proto__');
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'large', withCrossShrink: true },
    fc.string({ unit: 'grapheme', maxLength: 10 }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -(2 ** 50), max: 2 ** 50 }),
    fc.uint8Array({ maxLength: 10 }).map((octets) => Buffer.from(octets)),
    fc.record({ '!': fc.constantFrom('uint8', 'uint16', 'uint32', 'timestamp', 'float'), value: fc.nat(255) }),
    fc.record({ '!': fc.constant('decimal'), value: fc.record({ places: fc.nat(255), digits: fc.nat() }) }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));
const table = fc.dictionary(key, value, { maxKeys: 5 });

/** How deep tables and arrays are in one another; a table of nothing else is 0 deep. */
function depthOf(item: unknown): number {
  if (typeof item !== 'object' || item === null || Buffer.isBuffer(item)) return -1;
  if (Object.hasOwn(item, '!')) return -1;
  return 1 + Math.max(-1, ...Object.values(item).map(depthOf));
}

describe('whether a field table nests deeper than it may', () => {
  it('is told as by somebody who reads it recursively', () => {
    fc.assert(
      fc.property(table, fc.nat(6), fc.uint8Array({ maxLength: 4 }), (headers, limit, before) => {
        const bytes = Buffer.concat([before, writeTable(headers)]);
        expect(nestsDeeper(limit, bytes, before.length)).toBe(depthOf(headers) > limit);
      }),
      { numRuns: 500 },
    );
  });

  it('is told of any depth, at any limit', () => {
    for (const depth of [0, 1, 99, 100, 101, 20_000]) {
      expect(nestsDeeper(100, nestedTable(depth), 0)).toBe(depth > 100);
      expect(nestsDeeper(depth, nestedTable(depth), 0)).toBe(false);
    }
  });

  it('of octets that are no table is an answer all the same', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(210), (octets, start) => {
        expect(typeof nestsDeeper(3, Buffer.from(octets), start)).toBe('boolean');
      }),
      { numRuns: 1000 },
    );
  });
});
