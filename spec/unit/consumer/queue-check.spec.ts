import { Subject } from 'rxjs';
import type { QueuePresence } from '../../../lib/transport/transport';
import { QueueCheck } from '../../../lib/consumer/attach-loop';
import { collect } from '../../support/collect';

const AFTER = 1000;

describe('whether a consumer that hears nothing still has a queue', () => {
  const looked: string[] = [];
  let answer: () => Promise<QueuePresence>;
  let queue: string | undefined;
  const look = (name: string): Promise<QueuePresence> => {
    looked.push(name);
    return answer();
  };
  const watching = (check: QueueCheck) => collect(check.watch(look, () => queue));

  beforeEach(() => {
    jest.useFakeTimers();
    jest.spyOn(Math, 'random').mockReturnValue(0);
    looked.length = 0;
    queue = 'orders';
    answer = () => Promise.resolve('there');
  });
  afterEach(() => {
    expect(jest.getTimerCount()).toBe(0);
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('is looked for after each silence, and not before', async () => {
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(AFTER - 1);
    expect(looked).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(looked).toEqual(['orders']);
    await jest.advanceTimersByTimeAsync(2 * AFTER);
    expect(looked).toEqual(['orders', 'orders', 'orders']);
    expect(watched.error).toBeUndefined();
    watched.subscription.unsubscribe();
  });

  it('is looked for at moments of its own, at most twice as late', async () => {
    jest.spyOn(Math, 'random').mockReturnValueOnce(0.5).mockReturnValue(0.999);
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(1.5 * AFTER - 1);
    expect(looked).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(looked).toEqual(['orders']);
    await jest.advanceTimersByTimeAsync(2 * AFTER);
    expect(looked).toEqual(['orders', 'orders']);
    watched.subscription.unsubscribe();
  });

  it('can be left alone for as long as a timer can take', async () => {
    jest.spyOn(Math, 'random').mockReturnValue(0.999);
    const watched = watching(new QueueCheck(2 ** 31 - 1));
    await jest.advanceTimersByTimeAsync(1000 * AFTER);
    expect(looked).toEqual([]);
    watched.subscription.unsubscribe();
  });

  it('is known as long as messages come', async () => {
    const check = new QueueCheck(AFTER);
    const watched = watching(check);
    for (let i = 0; i < 5; i++) {
      await jest.advanceTimersByTimeAsync(AFTER - 1);
      check.received();
      await jest.advanceTimersByTimeAsync(1);
    }
    expect(looked).toEqual([]);
    await jest.advanceTimersByTimeAsync(AFTER);
    expect(looked).toEqual(['orders']);
    watched.subscription.unsubscribe();
  });

  it('is told as a cancel when it is missing, once', async () => {
    answer = () => Promise.resolve('missing');
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(5 * AFTER);
    expect(looked).toEqual(['orders']);
    expect(watched.error).toMatchObject({ code: 'CONSUMER_CANCELLED', queue: 'orders' });
  });

  it('is not asked for any more where nobody may look', async () => {
    answer = () => Promise.resolve('hidden');
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(5 * AFTER);
    expect(looked).toEqual(['orders']);
    expect(watched).toMatchObject({ completed: true, error: undefined });
  });

  it('is looked for again when it could not be found out', async () => {
    answer = () => Promise.reject(new Error('the channel ended'));
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(2 * AFTER);
    expect(looked).toEqual(['orders', 'orders']);
    expect(watched).toMatchObject({ completed: false, error: undefined });
    watched.subscription.unsubscribe();
  });

  it('is asked for by one question at a time', async () => {
    const answers = new Subject<QueuePresence>();
    answer = () => new Promise((resolve) => answers.subscribe(resolve));
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(5 * AFTER);
    expect(looked).toEqual(['orders']);
    answers.next('there');
    await jest.advanceTimersByTimeAsync(AFTER);
    expect(looked).toEqual(['orders', 'orders']);
    watched.subscription.unsubscribe();
  });

  it('is not asked for while there is none', async () => {
    queue = undefined;
    const watched = watching(new QueueCheck(AFTER));
    await jest.advanceTimersByTimeAsync(3 * AFTER);
    expect(looked).toEqual([]);
    watched.subscription.unsubscribe();
  });

  it('is never asked for with 0', async () => {
    watching(new QueueCheck(0));
    await jest.advanceTimersByTimeAsync(100 * AFTER);
    expect(looked).toEqual([]);
  });
});
