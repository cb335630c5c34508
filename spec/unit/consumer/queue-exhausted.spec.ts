import { exhausted$ } from '../../../lib/consumer/queue-exhausted';
import { collect } from '../../support/collect';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime(0);

/** Looks at a queue that says each time that it has this many messages. */
function given(...counts: readonly (number | Error)[]) {
  let last = performance.now();
  let looks = 0;
  const ready = jest.fn((): Promise<number> => {
    const count = counts[Math.min(looks++, counts.length - 1)] ?? 0;
    return count instanceof Error ? Promise.reject(count) : Promise.resolve(count);
  });
  const looked = collect(exhausted$(() => last, ready));
  const messageCame = (): void => void (last = performance.now());
  return { ready, looked, messageCame };
}
const ended = ({ looked: { values, completed, error } }: ReturnType<typeof given>) => [values.length, completed, error];
const YES = [1, true, undefined];
const NO = [0, false, undefined];

describe('a queue that has no more for a consumer', () => {
  it('is asked after 300 ms of silence, and believed when it says so twice', async () => {
    const queue = given(0);
    await later(300);
    expect(queue.ready).not.toHaveBeenCalled();
    await later(100);
    expect(queue.ready).toHaveBeenCalledTimes(1);
    expect(ended(queue)).toEqual(NO);
    await later(100);
    expect(ended(queue)).toEqual(YES);
    await later(1000);
    expect(queue.ready).toHaveBeenCalledTimes(2);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is not asked while messages come', async () => {
    const queue = given(0);
    for (let i = 0; i < 20; i++) {
      await later(250);
      queue.messageCame();
    }
    expect(queue.ready).not.toHaveBeenCalled();
    queue.looked.subscription.unsubscribe();
  });

  it('is believed only if it says so twice in a row', async () => {
    const queue = given(0, 1, 0, 2, 0, 0);
    await later(800);
    expect(queue.ready).toHaveBeenCalledTimes(5);
    expect(ended(queue)).toEqual(NO);
    await later(100);
    expect(ended(queue)).toEqual(YES);
  });

  it('is not believed if a message came while it was asked', async () => {
    const queue = given(0);
    queue.ready.mockImplementation(() => {
      queue.messageCame();
      return Promise.resolve(0);
    });
    await later(9000);
    expect(queue.ready.mock.calls.length).toBeGreaterThan(10);
    expect(ended(queue)).toEqual(NO);
    queue.looked.subscription.unsubscribe();
  });

  it('is asked once at a time, however long it takes', async () => {
    const queue = given(0);
    queue.ready.mockImplementation(() => new Promise(() => undefined));
    await later(5000);
    expect(queue.ready).toHaveBeenCalledTimes(1);
    queue.looked.subscription.unsubscribe();
  });

  it('is asked again where the answer failed, which says nothing', async () => {
    const queue = given(0, new Error('no'), 0);
    await later(500);
    expect(ended(queue)).toEqual(NO);
    await later(100);
    expect(ended(queue)).toEqual(YES);
  });

  it('has its messages out of reach after 10 s of silence: others get them', async () => {
    const queue = given(5);
    await later(10_000);
    expect(ended(queue)).toEqual(NO);
    await later(100);
    expect(ended(queue)).toEqual(YES);
  });
});
