import fc from 'fast-check';
import { Outbox, type Bounds, type Sized } from '../../../lib/producer/outbox';

class Letter implements Sized {
  settled = false;
  inside = false;
  constructor(
    readonly order: number,
    readonly bytes: number,
  ) {}
}

/** The outbox as it is meant, without any cleverness: two lists in order. */
class Model {
  inside: Letter[] = [];
  outside: Letter[] = [];
  constructor(readonly bounds: Bounds) {}

  get bytes(): number {
    return this.inside.reduce((sum, { bytes }) => sum + bytes, 0);
  }
  hasRoom(bytes: number): boolean {
    return this.inside.length < this.bounds.limit && this.bytes + bytes <= this.bounds.bytes;
  }
  admit(): void {
    for (let next = this.outside[0]; next && this.hasRoom(next.bytes); next = this.outside[0]) {
      this.inside.push(next);
      this.outside.shift();
    }
  }
  drop(letter: Letter): void {
    this.inside = this.inside.filter((other) => other !== letter);
    this.outside = this.outside.filter((other) => other !== letter);
    this.admit();
  }
}

type Step =
  | { readonly do: 'push'; readonly bytes: number }
  | { readonly do: 'shift'; readonly times: number }
  | { readonly do: 'restore'; readonly share: number }
  | { readonly do: 'settle'; readonly which: number };

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('push' as const), bytes: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('shift' as const), times: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('restore' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const), which: fc.nat(1000) }) },
);
const bounds = fc.record({ limit: fc.integer({ min: 1, max: 8 }), bytes: fc.integer({ min: 40, max: 200 }) });

/** Both at once; `taken` is what was shifted and may come back, as a lost channel gives it back. */
class Pair {
  readonly outbox: Outbox<Letter>;
  readonly model: Model;
  taken: Letter[] = [];
  #order = 0;

  constructor(given: Bounds) {
    this.outbox = new Outbox(given);
    this.model = new Model(given);
  }

  run(next: Step): void {
    switch (next.do) {
      case 'push': {
        const letter = new Letter(this.#order++, next.bytes);
        this.outbox.push(letter);
        this.model.outside.push(letter);
        this.model.admit();
        break;
      }
      case 'shift':
        for (let i = 0; i < next.times; i++) {
          expect(this.outbox.peek()).toBe(this.model.inside[0]);
          const letter = this.outbox.shift();
          expect(letter).toBe(this.model.inside.shift());
          this.model.admit();
          if (letter) this.taken.push(letter);
        }
        break;
      case 'restore': {
        const back = this.taken.filter(({ order }) => ((order * 7919) % 100) / 100 <= next.share);
        this.taken = this.taken.filter((letter) => !back.includes(letter));
        this.outbox.restore([...back].reverse());
        this.model.inside = [...this.model.inside, ...back.filter(({ settled }) => !settled)].sort(
          (a, b) => a.order - b.order,
        );
        break;
      }
      case 'settle': {
        const all = [...this.taken, ...this.model.inside, ...this.model.outside];
        const letter = all[next.which % Math.max(1, all.length)];
        if (!letter || letter.settled) break;
        letter.settled = true;
        this.model.drop(letter);
        this.outbox.settled(letter);
        break;
      }
    }
  }

  compare(): void {
    const { outbox, model } = this;
    expect(outbox.queued).toBe(model.inside.length);
    expect(outbox.bytes).toBe(model.bytes);
    expect(outbox.entries()).toEqual([...model.inside, ...model.outside]);
    expect(outbox.peek()).toBe(model.inside[0]);
    expect(outbox.empty).toBe(model.inside.length === 0 && model.outside.length === 0);
    for (const bytes of [1, 20, 40]) expect(outbox.hasRoom(bytes)).toBe(model.hasRoom(bytes));
    for (const letter of model.inside) expect(letter.inside).toBe(true);
    for (const letter of model.outside) expect(letter.inside).toBe(false);
    for (const letter of this.taken) expect(letter.inside).toBe(false);
  }
}

describe('an outbox', () => {
  it('is two lists in order, whatever is pushed, taken, given back and settled in whatever order', () => {
    fc.assert(
      fc.property(bounds, fc.array(step, { maxLength: 60 }), (given, steps) => {
        const pair = new Pair(given);
        for (const next of steps) {
          pair.run(next);
          pair.compare();
        }
      }),
      { numRuns: 150 },
    );
  });

  it('keeps its bounds, but for what was in flight before', () => {
    fc.assert(
      fc.property(bounds, fc.array(step, { maxLength: 80 }), (given, steps) => {
        const pair = new Pair(given);
        for (const next of steps) {
          if (next.do === 'restore') continue;
          pair.run(next);
          expect(pair.outbox.queued).toBeLessThanOrEqual(given.limit);
          expect(pair.outbox.bytes).toBeLessThanOrEqual(given.bytes);
        }
      }),
    );
  });

  it('gives everything back in the order in which it was pushed, however long it grew', () => {
    const outbox = new Outbox<Letter>({ limit: 3000, bytes: 1e9 });
    const letters = Array.from({ length: 10_000 }, (_, order) => new Letter(order, 1));
    for (const letter of letters) outbox.push(letter);
    const first = Array.from({ length: 2500 }, () => outbox.shift()).filter((letter) => letter !== undefined);
    outbox.restore(first);
    const seen: number[] = [];
    for (let letter = outbox.shift(); letter; letter = outbox.shift()) seen.push(letter.order);
    expect(seen).toEqual(letters.map(({ order }) => order));
    expect([outbox.queued, outbox.bytes, outbox.empty]).toEqual([0, 0, true]);
  });

  it('lets nothing pass that could never fit', () => {
    fc.assert(
      fc.property(bounds, fc.nat(400), (given, bytes) => {
        expect(new Outbox<Letter>(given).fits(bytes)).toBe(bytes <= given.bytes);
      }),
    );
  });
});
