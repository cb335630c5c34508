import { newMessageId } from '../../../lib/producer/outbound-message';

/** RFC 9562, section 5.4. */
const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('message ids', () => {
  const manyIds = (): readonly string[] => Array.from({ length: 10_000 }, newMessageId);

  it('are random UUIDs', () => {
    expect(manyIds().filter((id) => !VERSION_4.test(id))).toEqual([]);
  });

  it('are all different', () => {
    const ids = manyIds();
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('have every digit in every place that is left to chance', () => {
    const ids = manyIds();
    const places = [...Array(36).keys()].filter((place) => ![8, 13, 14, 18, 19, 23].includes(place));
    expect(places).toHaveLength(30);
    for (const place of places) expect(new Set(ids.map((id) => id[place])).size).toBe(16);
  });
});
