import fc from 'fast-check';
import { BehaviorSubject, Observable, Subject } from 'rxjs';
import { handle, type Delivery, type Message, type Work } from 'instance-queue';
import { collect } from '../../support/collect';
import { TestChannel } from '../../support/test-channel';

type Step =
  | { readonly do: 'deliver'; readonly channel: number; readonly key: number | undefined; readonly promise: boolean }
  | { readonly do: 'succeed' | 'fail'; readonly which: number }
  | { readonly do: 'drain' | 'end'; readonly channel: number }
  | { readonly do: 'limit'; readonly limit: number }
  | { readonly do: 'complete' | 'unsubscribe' };

const channel = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      channel,
      key: fc.option(fc.nat(2), { nil: undefined }),
      promise: fc.boolean(),
    }),
  },
  { weight: 20, arbitrary: fc.record({ do: fc.constantFrom('succeed' as const, 'fail' as const), which: fc.nat(99) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('drain' as const, 'end' as const), channel }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('limit' as const), limit: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('complete' as const, 'unsubscribe' as const) }) },
);

/** What a test knows of one delivery. */
interface Known {
  readonly delivery: Delivery<string>;
  readonly channel: TestChannel;
  readonly key: number | undefined;
  readonly promise: boolean;
  starts: number;
  /** Ends the work, while it runs. */
  end: ((error?: Error) => void) | undefined;
}

/** One subscription of `handle` under test, with its invariants. */
class Bench {
  readonly channels = [new TestChannel(), new TestChannel(), new TestChannel()];
  readonly all: Known[] = [];
  readonly #source$ = new Subject<Delivery<string>>();
  readonly #limit$ = new BehaviorSubject(2);
  readonly handled = collect(
    this.#source$.pipe(
      handle((message) => this.#work(message), {
        concurrency: this.#limit$,
        key: (message) => this.#of(message).key,
      }),
    ),
  );
  completed = false;
  subscribed = true;

  /** Work that has not ended, even if its result is not waited for any more. */
  get running(): readonly Known[] {
    return this.all.filter(({ end }) => end !== undefined);
  }

  take(next: Step): void {
    switch (next.do) {
      case 'deliver':
        this.#deliver(next);
        break;
      case 'succeed':
      case 'fail': {
        const known = this.running[next.which % Math.max(1, this.running.length)];
        known?.end?.(next.do === 'fail' ? new Error('work') : undefined);
        break;
      }
      case 'drain':
        this.channels[next.channel]?.drain();
        break;
      case 'end':
        this.channels[next.channel]?.end();
        break;
      case 'limit':
        this.#limit$.next(next.limit);
        break;
      case 'complete':
        this.completed = true;
        this.#source$.complete();
        break;
      case 'unsubscribe':
        this.subscribed = false;
        this.handled.subscription.unsubscribe();
    }
  }

  check(): void {
    const wrong = this.all.filter(({ delivery, channel, starts }) => {
      // Unsettled and not started, it waits; for a draining channel, or without a subscriber, nothing may.
      const waits = delivery.settled === undefined && starts === 0;
      if (waits && (!this.subscribed || (channel.draining && !this.completed))) return true;
      return starts > 1 || (starts > 0 && delivery.settled === 'release');
    });
    // Work that cannot be stopped may end after its delivery was lost.
    const twice = this.channels.flatMap(({ settled }) => settled.filter((line) => / after (?!lost)/.test(line)));
    expect([wrong, twice]).toEqual([[], []]);
  }

  /** All work ends, and everything may start. */
  finish(): void {
    this.#limit$.next(Infinity);
    while (this.running.length > 0) this.running[0]?.end?.();
    if (!this.completed) this.take({ do: 'complete' });
    this.check();
    expect(this.all.filter(({ delivery }) => delivery.settled === undefined)).toEqual([]);
    const emitted = this.handled.values.map(({ message }) => message);
    expect(new Set(emitted).size).toBe(emitted.length);
    if (!this.subscribed) return;
    expect(this.handled.completed).toBe(true);
    expect(emitted.length).toBe(this.all.filter(({ starts }) => starts > 0).length);
    expect(this.channels.map(({ watchers }) => watchers)).toEqual([0, 0, 0]);
  }

  #of(message: Message<string>): Known {
    return this.all[Number(message.body)]!;
  }

  #deliver({ channel: index, key, promise }: Extract<Step, { do: 'deliver' }>): void {
    const channel = this.channels[index]!;
    if (channel.ended || this.completed || !this.subscribed) return;
    const delivery = channel.deliver(String(this.all.length));
    this.all.push({ delivery, channel, key, promise, starts: 0, end: undefined });
    this.#source$.next(delivery);
  }

  #work(message: Message<string>): Work<string> {
    const known = this.#of(message);
    expect(this.subscribed).toBe(true);
    // With the source complete, work on a lost delivery is given up; a promise runs on all the same.
    const others = this.running.filter(({ delivery }) => !this.completed || delivery.settled !== 'lost');
    const sameKey = others.filter(({ key }) => key !== undefined && key === known.key);
    expect([sameKey.length, others.length < this.#limit$.value]).toEqual([0, true]);
    known.starts++;
    if (!known.promise) {
      return new Observable<string>((subscriber) => {
        known.end = (error) => {
          if (error) subscriber.error(error);
          else subscriber.complete();
        };
        return () => (known.end = undefined);
      });
    }
    // A promise that settles synchronously, and that cannot be stopped.
    const then = (resolve: (value: string) => void, reject: (error: Error) => void): void => {
      known.end = (error) => {
        known.end = undefined;
        if (error) reject(error);
        else resolve('done');
      };
    };
    return { then } as PromiseLike<string>;
  }
}

describe('handle', () => {
  it('starts, settles and reports each delivery at most once, and holds none without reason, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const bench = new Bench();
        for (const next of steps) {
          bench.take(next);
          bench.check();
        }
        bench.finish();
      }),
      { numRuns: 300 },
    );
  });
});
