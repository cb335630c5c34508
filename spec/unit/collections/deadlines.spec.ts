import { Deadlines } from '../../../lib/collections/deadlines';
import { collectGarbage } from '../../support/memory';
import { eventually } from '../../support/waiting';

interface Timed {
  readonly name: string;
  readonly since: number;
  settled: boolean;
}
const entry = (name: string): Timed => ({ name, since: performance.now(), settled: false });

describe('deadlines', () => {
  const due: string[] = [];
  let deadlines: Deadlines<Timed>;

  beforeEach(() => {
    // Replaces `performance` as well: deadlines use the monotonic clock.
    jest.useFakeTimers();
    due.length = 0;
    deadlines = new Deadlines((late) => due.push(late.name));
  });
  afterEach(() => {
    deadlines.clear();
    jest.useRealTimers();
  });

  it('fall due in order, whatever their limits and the order in which they were added', () => {
    deadlines.add(entry('c'), 300);
    deadlines.add(entry('a'), 100);
    deadlines.add(entry('d'), 300);
    jest.advanceTimersByTime(50);
    deadlines.add(entry('b'), 100);
    jest.advanceTimersByTime(49);
    expect(due).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(due).toEqual(['a']);
    jest.advanceTimersByTime(50);
    expect(due).toEqual(['a', 'b']);
    jest.advanceTimersByTime(150);
    expect(due).toEqual(['a', 'b', 'c', 'd']);
  });

  it('do not fall due once their entry is settled', () => {
    const settled = entry('settled');
    deadlines.add(settled, 100);
    deadlines.add(entry('open'), 100);
    settled.settled = true;
    jest.advanceTimersByTime(1000);
    expect(due).toEqual(['open']);
  });

  it('fall due once', () => {
    deadlines.add(entry('a'), 100);
    jest.advanceTimersByTime(1000);
    deadlines.add(entry('b'), 100);
    jest.advanceTimersByTime(1000);
    expect(due).toEqual(['a', 'b']);
  });

  it('share one timer, however many there are', () => {
    for (let i = 0; i < 1000; i++) deadlines.add(entry(String(i)), 100 + (i % 7));
    expect(jest.getTimerCount()).toBe(1);
  });

  it('leave no timer when all fell due, all are settled, or all are cleared', () => {
    deadlines.add(entry('a'), 100);
    jest.advanceTimersByTime(100);
    expect(jest.getTimerCount()).toBe(0);

    const settled = entry('b');
    deadlines.add(settled, 100);
    settled.settled = true;
    jest.advanceTimersByTime(100);
    expect(jest.getTimerCount()).toBe(0);

    deadlines.add(entry('c'), 100);
    deadlines.clear();
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(1000);
    expect(due).toEqual(['a']);
  });

  it('that are late and wait for the next reads are forgotten when cleared', async () => {
    jest.useRealTimers();
    deadlines.add(entry('late'), 5);
    // Due in the same turn of the event loop, behind it, after the loop below has blocked the process.
    setTimeout(() => {
      deadlines.clear();
    }, 6);
    const until = performance.now() + 20;
    while (performance.now() < until);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(due).toEqual([]);
    deadlines.add(entry('next'), 5);
    await eventually(() => due.length > 0);
    expect(due).toEqual(['next']);
  });

  it('work again after they were cleared', () => {
    deadlines.add(entry('a'), 100);
    deadlines.clear();
    deadlines.add(entry('b'), 100);
    jest.advanceTimersByTime(100);
    expect(due).toEqual(['b']);
  });

  it('may all be cleared while one falls due, and leave no timer', () => {
    const cleared = new Deadlines<Timed>((late) => {
      due.push(late.name);
      cleared.clear();
    });
    cleared.add(entry('later'), 300);
    for (const name of ['a', 'b']) cleared.add(entry(name), 100);
    jest.advanceTimersByTime(100);
    expect(due).toEqual(['a']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('may be added while others fall due', () => {
    const again = new Deadlines<Timed>((late) => {
      due.push(late.name);
      if (due.length < 3) again.add(entry(`${late.name}'`), 100);
    });
    again.add(entry('a'), 100);
    jest.advanceTimersByTime(1000);
    expect(due).toEqual(['a', "a'", "a''"]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('fall due however many others are added while one does, each with a limit of its own', () => {
    const again = new Deadlines<Timed>((late) => {
      due.push(late.name);
      if (late.name !== 'a') return;
      for (let i = 0; i < 1000; i++) {
        const settled = entry(String(i));
        again.add(settled, 200 + i / 1000);
        settled.settled = true;
      }
      again.add(entry('b'), 100);
    });
    again.add(entry('a'), 100);
    jest.advanceTimersByTime(1000);
    expect(due).toEqual(['a', 'b']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('follow the monotonic clock: a jump of the wall clock changes nothing', () => {
    deadlines.add(entry('a'), 100);
    jest.setSystemTime(Date.now() + 3_600_000);
    jest.advanceTimersByTime(99);
    expect(due).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(due).toEqual(['a']);
  });
});

describe('deadlines of messages settled long ago', () => {
  const same = (): number => 60_000;
  it.each([
    ['all are settled', undefined, same],
    ['all but the first are settled', entry('first'), same],
    ['each has a limit of its own', undefined, (i: number) => 60_000 + i / 1000],
  ])('do not hold on to them: %s', async (_name, open, limitOf) => {
    const forgotten: WeakRef<Timed>[] = [];
    const deadlines = new Deadlines<Timed>(() => undefined);
    try {
      if (open) deadlines.add(open, 60_000);
      for (let i = 0; i < 10_000; i++) {
        const settled = entry(String(i));
        deadlines.add(settled, limitOf(i));
        settled.settled = true;
        if (i < 5000) forgotten.push(new WeakRef(settled));
      }
      // One collection may not free everything: a register may still hold the last entry of the loop above.
      await eventually(() => {
        collectGarbage();
        return forgotten.every((ref) => ref.deref() === undefined);
      });
    } finally {
      deadlines.clear();
    }
  });
});
