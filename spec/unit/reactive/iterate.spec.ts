import { iterate } from 'instance-queue';
import { Observable, Subject } from 'rxjs';

/** As many turns as a loop needs to ask for its next value. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('iterate()', () => {
  it('subscribes at the first step, and unsubscribes when the loop is left', async () => {
    const source = new Subject<number>();
    const values = iterate(source);
    expect(source.observed).toBe(false);
    const first = values.next();
    expect(source.observed).toBe(true);
    source.next(1);
    expect(await first).toEqual({ done: false, value: 1 });
    expect(await values.return?.()).toEqual({ done: true, value: undefined });
    expect(source.observed).toBe(false);
    expect(await values.next()).toEqual({ done: true, value: undefined });
    expect(source.observed).toBe(false);
  });

  it('never subscribes once it was left', async () => {
    const source = new Subject<number>();
    const values = iterate(source);
    await values.return?.();
    expect(await values.next()).toEqual({ done: true, value: undefined });
    expect(source.observed).toBe(false);
  });

  it('subscribes once, however many steps are asked for', async () => {
    let subscribed = 0;
    const values = iterate(
      new Observable<number>((subscriber) => {
        subscribed++;
        subscriber.next(1);
      }),
    );
    const steps = [values.next(), values.next()];
    expect(await steps[0]).toEqual({ done: false, value: 1 });
    expect(subscribed).toBe(1);
    await values.return?.();
    expect(await steps[1]).toEqual({ done: true, value: undefined });
  });

  it('gives a slow loop the latest value alone, once', async () => {
    const source = new Subject<number>();
    const got: number[] = [];
    const loop = (async () => {
      for await (const value of iterate(source)) {
        got.push(value);
        if (value === 1) for (const next of [2, 3, 4]) source.next(next);
      }
    })();
    source.next(1);
    await turn();
    expect(got).toEqual([1, 4]);
    source.next(5);
    await turn();
    source.complete();
    await loop;
    expect(got).toEqual([1, 4, 5]);
  });

  it('ends when the source completes, behind a value that waits', async () => {
    const source = new Subject<number>();
    const values = iterate(source);
    const first = values.next();
    source.next(1);
    source.next(2);
    source.complete();
    expect([await first, await values.next(), await values.next()]).toEqual([
      { done: false, value: 1 },
      { done: false, value: 2 },
      { done: true, value: undefined },
    ]);
  });

  it('throws what the source errors with, in one step, and has ended then', async () => {
    const source = new Subject<number>();
    const values = iterate(source);
    const steps = [values.next(), values.next()];
    source.error(new RangeError('no'));
    await expect(steps[0]).rejects.toThrow(new RangeError('no'));
    expect(await steps[1]).toEqual({ done: true, value: undefined });
    expect(await values.next()).toEqual({ done: true, value: undefined });
  });

  it('throws an error at the next step, if it came while none was asked for; the latest value is not given any more', async () => {
    const source = new Subject<number>();
    const values = iterate(source);
    const first = values.next();
    source.next(1);
    await first;
    source.next(2);
    source.error(new RangeError('no'));
    await expect(values.next()).rejects.toThrow(new RangeError('no'));
  });
});
