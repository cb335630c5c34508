import {
  NEVER,
  concat,
  fromEvent,
  lastValueFrom,
  map,
  mergeMap,
  of,
  takeUntil,
  throwError,
  timer,
  type Observable,
} from 'rxjs';
import { ConsumerError, handle, type Handled } from 'instance-queue';
import { collect } from '../../support/collect';
import { fakeDelivery } from '../../support/fake-delivery';
import { marbles } from '../../support/marbles';

describe('work that takes longer than its timeout', () => {
  it(
    'counts as failed, and its delivery is settled by the policy',
    marbles(({ expectObservable }) => {
      const a = fakeDelivery('a');
      const error = new ConsumerError(
        'WORK_TIMEOUT',
        'orders',
        'Work on a message of queue `orders` took longer than 5 ms (`timeout`).',
      );
      const expected: Handled<string, never> = { message: a, settlement: 'reject', sent: true, error };
      expectObservable(of(a).pipe(handle(() => NEVER, { timeout: 5, onError: 'reject' }))).toBe('-----(x|)', {
        x: expected,
      });
    }),
  );

  it(
    'has its signal aborted with the error, even if it reads the signal later',
    marbles(({ cold, flush }) => {
      const signals: AbortSignal[] = [];
      const contexts: { readonly signal: AbortSignal }[] = [];
      const reasons: unknown[] = [];
      const early = handle<string, never>(
        (_message, { signal }) => {
          signals.push(signal);
          signal.addEventListener('abort', () => reasons.push(signal.reason));
          return NEVER;
        },
        { timeout: 5 },
      );
      const late = handle<string, never>(
        (_message, context) => {
          contexts.push(context);
          return NEVER;
        },
        { timeout: 5 },
      );
      of(fakeDelivery('a')).pipe(early).subscribe();
      of(fakeDelivery('b')).pipe(late).subscribe();
      cold('----x').subscribe(() => expect(signals[0]?.aborted).toBe(false));
      flush();
      expect(reasons).toEqual([expect.objectContaining({ code: 'WORK_TIMEOUT', queue: 'orders' })]);
      expect(contexts[0]?.signal.aborted).toBe(true);
      expect(contexts[0]?.signal.reason).toMatchObject({ code: 'WORK_TIMEOUT' });
    }),
  );

  it.each<[string, Observable<string>]>([
    ['completes', NEVER],
    ['has emitted and completes', concat(of('half'), NEVER)],
  ])('counts as failed though it %s as soon as its signal is aborted', (_, work$) =>
    marbles(({ expectObservable }) => {
      const a = fakeDelivery('a');
      const untilAborted = handle<string, string>(
        (_message, { signal }) => work$.pipe(takeUntil(fromEvent(signal, 'abort'))),
        { timeout: 5, onError: 'reject' },
      );
      const error = expect.objectContaining({ code: 'WORK_TIMEOUT' }) as unknown;
      expectObservable(of(a).pipe(untilAborted)).toBe('-----(x|)', {
        x: { message: a, settlement: 'reject', sent: true, error } as Handled<string, string>,
      });
    })(),
  );

  it(
    'is unsubscribed from if it is an Observable, and the next starts',
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const stuck = cold('-');
      const log: string[] = [];
      const [a, b] = [fakeDelivery('a', log), fakeDelivery('b', log)];
      const work = ({ body }: { body: string }) => (body === 'a' ? stuck : of('done'));
      const settlements = handle(work, { timeout: 5, concurrency: 1 });
      expectObservable(of(a, b).pipe(settlements)).toBe('-----(xy|)', {
        x: expect.objectContaining({ settlement: 'requeue' }) as Handled<string, string>,
        y: { message: b, settlement: 'ack', sent: true, value: 'done' },
      });
      expectSubscriptions(stuck.subscriptions).toBe('^----!');
    }),
  );

  it('is reported once: what it resolves with later is ignored', async () => {
    jest.useFakeTimers();
    try {
      const a = fakeDelivery('a');
      const seen: unknown[] = [];
      const { promise, resolve } = deferred();
      of(a)
        .pipe(handle(() => promise, { timeout: 5 }))
        .subscribe(({ settlement }) => seen.push(settlement));
      jest.advanceTimersByTime(5);
      resolve();
      await promise;
      expect(seen).toEqual(['requeue']);
      expect(a.log).toEqual(['requeue a']);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('work that is in time', () => {
  it(
    'is not aborted, and leaves no timer',
    marbles(({ cold, expectObservable, flush }) => {
      const a = fakeDelivery('a');
      const signals: AbortSignal[] = [];
      const work = handle<string, string>(
        (_message, { signal }) => {
          signals.push(signal);
          return cold('--(x|)');
        },
        { timeout: 5 },
      );
      expectObservable(of(a).pipe(work)).toBe('--(x|)', {
        x: { message: a, settlement: 'ack', sent: true, value: 'x' },
      });
      flush();
      expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    }),
  );

  it('leaves no timer', () => {
    jest.useFakeTimers();
    try {
      of(fakeDelivery('a'))
        .pipe(handle(() => 1, { timeout: 5 }))
        .subscribe();
      expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  });
});

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

it('a policy is asked once about work that took too long, though it fails as well while the policy decides', async () => {
  jest.useFakeTimers();
  try {
    const onError = jest.fn(() => lastValueFrom(timer(100).pipe(map(() => 'reject' as const))));
    const work = (): Promise<never> =>
      lastValueFrom(timer(50).pipe(mergeMap(() => throwError(() => new Error('late')))));
    const handled = collect(of(fakeDelivery('a')).pipe(handle(work, { timeout: 5, onError })));
    await jest.advanceTimersByTimeAsync(1000);
    expect(onError).toHaveBeenCalledTimes(1);
    expect(handled.values).toMatchObject([{ settlement: 'reject', sent: true, error: { code: 'WORK_TIMEOUT' } }]);
  } finally {
    jest.useRealTimers();
  }
});
