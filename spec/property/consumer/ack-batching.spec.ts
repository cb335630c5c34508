import fc from 'fast-check';
import { AckBatch } from '../../../lib/consumer/ack-batching';

/** What a broker makes of the frames of one channel. */
class Broker {
  readonly unacked = new Set<number>();
  readonly acked: number[] = [];
  readonly faults: string[] = [];
  #last = 0;

  deliver(): number {
    this.unacked.add(++this.#last);
    return this.#last;
  }
  /** A real broker closes the channel over a tag it does not know. */
  ack(tag: number, multiple: boolean): void {
    const meant = multiple
      ? [...this.unacked].filter((open) => open <= tag)
      : [tag].filter((open) => this.unacked.has(open));
    if (!this.unacked.has(tag)) this.faults.push(`unknown tag ${String(tag)}`);
    for (const one of meant) {
      this.unacked.delete(one);
      this.acked.push(one);
    }
  }
  /** reject or nack */
  refuse(tag: number): void {
    if (!this.unacked.delete(tag)) this.faults.push(`unknown tag ${String(tag)}`);
  }
}

type Step = { readonly do: 'deliver' | 'ack' | 'refuse'; readonly which: number } | { readonly do: 'flush' };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver' as const), which: fc.nat(99) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ack' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), which: fc.nat(99) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('flush' as const) }) },
);

/** One consumer that settles by the window, and the broker on the other side. */
class Run {
  readonly broker = new Broker();
  readonly window = new AckBatch();
  readonly open: number[] = [];
  readonly acked: number[] = [];
  /** Frames of the last flush. */
  frames = 0;

  step(next: Step): void {
    if (next.do === 'deliver') {
      const tag = this.broker.deliver();
      this.open.push(tag);
    } else if (next.do === 'flush') this.flush();
    else {
      const [tag] = this.open.splice(next.which % Math.max(1, this.open.length), 1);
      if (tag === undefined) return;
      if (next.do === 'ack') {
        this.acked.push(tag);
        this.window.add(tag);
      } else this.broker.refuse(tag);
    }
  }

  flush(): void {
    const { upTo, singly } = this.window.take(Math.min(...this.open, Infinity));
    this.frames = (upTo === undefined ? 0 : 1) + singly.length;
    if (upTo !== undefined) this.broker.ack(upTo, true);
    for (const tag of singly) this.broker.ack(tag, false);
  }
}

const ascending = (tags: readonly number[]): number[] => [...tags].sort((a, b) => a - b);

describe('acks that are gathered', () => {
  it('tell of each ack exactly once, and of nothing that is open or was refused', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const run = new Run();
        for (const next of steps) {
          run.step(next);
          for (const tag of run.open) expect(run.broker.unacked.has(tag)).toBe(true);
          expect(run.window.size).toBe(run.acked.length - run.broker.acked.length);
        }
        run.flush();
        expect(run.broker.faults).toEqual([]);
        expect(ascending(run.broker.acked)).toEqual(ascending(run.acked));
        expect(ascending([...run.broker.unacked])).toEqual(ascending(run.open));
        expect(run.window.size).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('below the lowest open delivery take one frame, however many there are', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const run = new Run();
        for (const next of steps) run.step(next);
        const lowestOpen = Math.min(...run.open, Infinity);
        const above = run.acked.filter((tag) => tag > lowestOpen && run.broker.unacked.has(tag)).length;
        const below = run.acked.some((tag) => tag < lowestOpen && run.broker.unacked.has(tag));
        run.flush();
        expect(run.frames).toBe(above + (below ? 1 : 0));
      }),
    );
  });

  // A window that goes over all that came since would take minutes.
  it('cost no more when one delivery stays open for as long as 300 000 others take', () => {
    const window = new AckBatch();
    let told = 0;
    for (let tag = 2; tag <= 300_001; tag++) {
      window.add(tag);
      if (window.size === 5) told += window.take(1).singly.length;
    }
    expect(told).toBe(300_000);
    window.add(1);
    expect(window.take(Infinity)).toEqual({ upTo: 1, singly: [] });
  });

  it('are nothing to tell when there are none', () => {
    expect(new AckBatch().take(Infinity)).toEqual({ upTo: undefined, singly: [] });
  });
});
