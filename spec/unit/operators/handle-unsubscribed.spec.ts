import { NEVER, Observable, Subject, config, from, take, type Subscription } from 'rxjs';
import { handle, type Message } from 'instance-queue';
import { deliveries, fakeDelivery, type FakeDelivery } from '../../support/fake-delivery';
import { marbles } from '../../support/marbles';
import { bodies, source } from './delivering';

describe('unsubscribing from handle', () => {
  it(
    'releases at once what is not started, and lets running work settle without emitting',
    marbles((helpers) => {
      const { cold, expectObservable, flush } = helpers;
      const { source$, log } = source(helpers, '(abcd)');
      const work = ({ body }: Message<string>): Observable<string> => cold(body === 'a' ? '------(x|)' : '------#');
      expectObservable(source$.pipe(handle(work, { concurrency: 2 }), bodies), '^--!').toBe('');
      cold('---x').subscribe(() => expect(log).toEqual(['release c', 'release d']));
      flush();
      expect(log).toEqual(['release c', 'release d', 'ack a', 'requeue b']);
    }),
  );

  it('after a synchronous result starts nothing more, even of a source that emits synchronously', () => {
    const log: string[] = [];
    const started: string[] = [];
    from(deliveries('abc', log))
      .pipe(
        handle(({ body }) => started.push(body)),
        take(1),
      )
      .subscribe();
    expect(started).toEqual(['a']);
    expect(log[0]).toBe('ack a');
    expect(log).not.toContain('ack b');
  });

  it('stops a source that would emit for ever', () => {
    let made = 0;
    const endless$ = new Observable<FakeDelivery>((subscriber) => {
      while (!subscriber.closed && made < 1000) subscriber.next(fakeDelivery(String(made++)));
    });
    endless$
      .pipe(
        handle(() => 1),
        take(3),
      )
      .subscribe();
    expect(made).toBe(3);
  });

  it('while work is being started ends the source', () => {
    const log: string[] = [];
    const source$ = new Subject<FakeDelivery>();
    const subscription: Subscription = source$
      .pipe(
        handle(() => {
          subscription.unsubscribe();
          return NEVER;
        }),
      )
      .subscribe();
    const [a, b] = deliveries('ab', log);
    source$.next(a!);
    source$.next(b!);
    expect(source$.observed).toBe(false);
    expect(log).toEqual([]);
  });
});

describe('a subscriber of handle that throws', () => {
  it('does not stop handle: later messages are worked on and settled', async () => {
    const log: string[] = [];
    const source$ = new Subject<FakeDelivery>();
    const thrown: unknown[] = [];
    // RxJS reports it as an uncaught exception.
    config.onUnhandledError = (error) => thrown.push(error);
    try {
      source$.pipe(handle(() => 1)).subscribe(() => {
        throw new Error('listener');
      });
      for (const delivery of deliveries('ab', log)) source$.next(delivery);
      await new Promise((resolve) => setTimeout(resolve, 0));
    } finally {
      config.onUnhandledError = null;
    }
    expect(log).toEqual(['ack a', 'ack b']);
    expect(thrown).toHaveLength(2);
  });
});
