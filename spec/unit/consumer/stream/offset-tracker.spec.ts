import { OffsetTracker } from '../../../../lib/consumer/stream/offset-tracker';

/** Handed out: 5, 6, 7; settled: 5 and 6. */
function advanced(): OffsetTracker {
  const place = new OffsetTracker();
  for (const offset of [5, 6, 7]) place.arrive(offset);
  place.settle(5);
  place.settle(6);
  return place;
}

describe('the place in a stream', () => {
  it('knows what it has passed, at it and below it, and what is open', () => {
    const place = advanced();
    expect([4, 5, 6, 7, 8].map((offset) => place.knows(offset))).toEqual([true, true, true, true, false]);
    expect(new OffsetTracker().knows(0)).toBe(false);
  });

  it('hands out nothing again that it has passed', () => {
    const place = advanced();
    expect([4, 5, 6].map((offset) => place.arrive(offset))).toEqual(['settled', 'settled', 'settled']);
    expect([place.arrive(7), place.arrive(7), place.ahead]).toEqual([1, 2, 1]);
  });

  it('is moved by nothing that it does not know', () => {
    const place = advanced();
    place.release(99);
    expect(place.settle(99)).toBe(false);
    expect(place.position).toBe(6);
  });

  it('counts as gone what was open alone', () => {
    const place = new OffsetTracker();
    for (const offset of [1, 2, 3, 4]) place.arrive(offset);
    place.settle(2);
    expect(place.resumedAt(4)).toBe(2);
    expect([place.ahead, place.resumeAt]).toEqual([1, 4]);
  });
});
