import fc from 'fast-check';
import { OffsetTracker } from '../../../../lib/consumer/stream/offset-tracker';

/** A stream, a reader with a window, and links that are cut. */
class Reader {
  readonly place = new OffsetTracker();
  readonly repeated = new Set<number>();
  readonly settled = new Set<number>();
  readonly seen: number[] = [];
  /** Handed out on the present link, and not settled. */
  open: number[] = [];
  #next = 0;

  constructor(
    readonly offsets: readonly number[],
    readonly prefetch: number,
  ) {}

  /** The next of the stream, if the window lets it through. */
  read(): void {
    const offset = this.offsets[this.#next];
    if (offset === undefined) return;
    if (this.place.ahead >= this.prefetch && !this.place.knows(offset)) return;
    this.#next++;
    const before = this.seen.filter((one) => one === offset).length;
    const attempts = this.place.arrive(offset);
    expect(attempts).toBe(this.settled.has(offset) ? 'settled' : before);
    if (attempts === 'settled') return;
    this.seen.push(offset);
    this.open.push(offset);
  }

  settle(which: number): void {
    const [offset] = this.open.splice(which % Math.max(1, this.open.length), 1);
    if (offset === undefined) return;
    const before = this.place.position;
    this.settled.add(offset);
    expect(this.place.settle(offset)).toBe(this.place.position !== before);
  }

  /** What is open is lost; the next link begins where nothing is skipped. */
  cut(): void {
    const handedOut = new Set(this.seen).size;
    const resumeAt = this.place.resumeAt ?? this.offsets[0] ?? 0;
    this.open = [];
    const from = this.offsets.findIndex((offset) => offset >= resumeAt);
    this.#next = from < 0 ? this.offsets.length : from;
    // What comes again at most: with another process, that knows the place alone, and no more.
    expect(handedOut - this.#next).toBeLessThanOrEqual(this.prefetch);
  }

  /** The last of which all before are settled, by looking at all of them. */
  get position(): number | undefined {
    const handedOut = this.offsets.filter((offset) => this.seen.includes(offset));
    const open = handedOut.findIndex((offset) => !this.settled.has(offset));
    return open < 0 ? handedOut.at(-1) : handedOut[open - 1];
  }
}

type Step = { readonly do: 'read' | 'cut' } | { readonly do: 'settle'; readonly which: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'cut' as const }) },
);
/** Growing, now and then with a gap. */
const offsets = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 60 }).map((gaps) => {
  let offset = -1;
  return gaps.map((gap) => (offset += gap === 3 ? 5 : 1));
});

describe('the place in a stream', () => {
  it('skips nothing and repeats no more than the window, in whatever order work ends and links are cut', () => {
    fc.assert(
      fc.property(
        offsets,
        fc.integer({ min: 1, max: 8 }),
        fc.array(step, { maxLength: 200 }),
        (all, prefetch, steps) => {
          const reader = new Reader(all, prefetch);
          for (const next of steps) {
            if (next.do === 'settle') reader.settle(next.which);
            else reader[next.do]();
            expect(reader.place.position).toBe(reader.position);
            expect(reader.place.ahead).toBeLessThanOrEqual(prefetch);
          }
          // In the end all of it is read and settled, each that is settled once.
          for (let i = 0; i < all.length * 2; i++) {
            reader.cut();
            for (let j = 0; j < prefetch; j++) reader.read();
            while (reader.open.length > 0) reader.settle(0);
          }
          expect([...reader.settled].sort((a, b) => a - b)).toEqual(all);
          expect(reader.place.position).toBe(all.at(-1));
          expect(reader.place.ahead).toBe(0);
        },
      ),
    );
  });

  it('does not count what was released as tried', () => {
    const place = new OffsetTracker();
    expect(place.arrive(7)).toBe(0);
    place.release(7);
    expect(place.arrive(7)).toBe(0);
    expect(place.arrive(7)).toBe(1);
  });

  it('resumes where the stream begins when retention removed what was unsettled', () => {
    const place = new OffsetTracker();
    for (const offset of [3, 4, 5, 6]) place.arrive(offset);
    place.settle(5);
    expect(place.position).toBeUndefined();
    expect(place.resumeAt).toBe(3);
    expect(place.resumedAt(5)).toBe(2);
    expect(place.position).toBe(5);
    expect(place.ahead).toBe(1);
    expect(place.resumedAt(100)).toBe(1);
    expect(place.position).toBe(5);
    expect(place.ahead).toBe(0);
    place.reset();
    expect(place.resumeAt).toBeUndefined();
  });
});
