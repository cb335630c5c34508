import { Random } from '../../../lib/testing/simulation/random';

const drawn = <T>(draw: (random: Random) => T, count = 1000, seed = 7): readonly T[] => {
  const random = new Random(seed);
  return Array.from({ length: count }, () => draw(random));
};

describe('random numbers', () => {
  const next = (random: Random): number => random.next();

  it('are the same for the same seed, and others for its neighbour', () => {
    expect(drawn(next, 5, 3)).toEqual(drawn(next, 5, 3));
    expect(drawn(next, 5, 3)).not.toEqual(drawn(next, 5, 4));
    const firsts = Array.from({ length: 100 }, (_, seed) => drawn(next, 1, seed)[0] ?? 0);
    expect(Math.min(...firsts)).toBeLessThan(0.1);
    expect(Math.max(...firsts)).toBeGreaterThan(0.9);
  });

  it('lie between 0 and 1, evenly', () => {
    const numbers = drawn(next);
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = numbers.filter((number) => number >= tenth / 10 && number < (tenth + 1) / 10).length;
      expect(share).toBeGreaterThan(60);
      expect(share).toBeLessThan(140);
    }
  });

  it('are whole numbers of a range, with both its ends', () => {
    expect([...new Set(drawn((random) => random.integer(3, 6)))].sort()).toEqual([3, 4, 5, 6]);
    expect(new Set(drawn((random) => random.integer(5, 5)))).toEqual(new Set([5]));
  });

  it.each([
    [0, 0, 0],
    [1, 1000, 1000],
    [0.25, 200, 300],
  ])('say yes with a probability: %d', (probability, least, most) => {
    const yes = drawn((random) => random.chance(probability)).filter(Boolean).length;
    expect(yes).toBeGreaterThanOrEqual(least);
    expect(yes).toBeLessThanOrEqual(most);
  });

  it('pick each of some', () => {
    expect([...new Set(drawn((random) => random.pick(['a', 'b', 'c'])))].sort()).toEqual(['a', 'b', 'c']);
  });

  it('make UUIDs, each another', () => {
    const ids = drawn((random) => random.uuid());
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
