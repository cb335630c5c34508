import fc from 'fast-check';
import { compareSpecificity, isPattern, overlaps } from '../../lib/routing-key';

const WORDS = ['a', 'b', 'c'];
const word = fc.constantFrom(...WORDS);
const key = fc.array(word, { minLength: 1, maxLength: 4 }).map((words) => words.join('.'));
const pattern = fc
  .array(fc.constantFrom(...WORDS, '*', '#'), { minLength: 1, maxLength: 4 })
  .map((words) => words.join('.'));

/** As a regular expression over words that each end with a dot. */
function matches(pattern: string, key: string): boolean {
  const source = pattern
    .split('.')
    .map((word) => (word === '#' ? '([^.]+\\.)*' : word === '*' ? '[^.]+\\.' : `${word}\\.`))
    .join('');
  return new RegExp(`^${source}$`).test(`${key}.`);
}

/** All keys of up to five words. */
const KEYS = Array.from({ length: 5 }).reduce<string[][]>(
  (all) => [...all, all.at(-1)!.flatMap((key) => WORDS.map((word) => `${key}.${word}`))],
  [WORDS],
);

it('a key overlaps with the patterns that match it', () => {
  fc.assert(
    fc.property(pattern, key, (pattern, key) => {
      expect(overlaps(pattern, key)).toBe(matches(pattern, key));
      expect(overlaps(key, pattern)).toBe(matches(pattern, key));
    }),
    { numRuns: 1000 },
  );
});

it('two patterns overlap if some key matches both', () => {
  fc.assert(
    fc.property(pattern, pattern, (p, q) => {
      const both = KEYS.flat().some((key) => matches(p, key) && matches(q, key));
      // `#` alone also matches no words at all, which are no key.
      if (both) expect(overlaps(p, q)).toBe(true);
      else if (!/^[#.]+$/.test(p) && !/^[#.]+$/.test(q)) expect(overlaps(p, q)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

it('specificity is an order, and a key goes before the patterns that match it', () => {
  fc.assert(
    fc.property(pattern, pattern, key, (p, q, key) => {
      expect(Math.sign(compareSpecificity(p, q))).toBe(-Math.sign(compareSpecificity(q, p)) || 0);
      if (isPattern(p) && matches(p, key)) expect(compareSpecificity(key, p)).toBeLessThan(0);
    }),
    { numRuns: 1000 },
  );
});

it.each([
  ['a.*', 'a.#'],
  ['a.b.*', 'a.*.c'],
  ['*', '#'],
  ['#.a', '#'],
  ['a.*.c', 'a.#'],
])('%s is more specific than %s', (more, less) => {
  expect(compareSpecificity(more, less)).toBeLessThan(0);
});
