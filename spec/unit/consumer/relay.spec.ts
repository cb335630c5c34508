import { Subject, Subscription, share, type Observable } from 'rxjs';
import { Relay } from '../../../lib/consumer/consumer';

const relayed = <T>(source$: Observable<T>): Observable<T> => source$.pipe(share({ connector: () => new Relay() }));

/** A relay behaves as a Subject does: every test runs over both. */
describe.each<[string, <T>(source$: Observable<T>) => Observable<T>]>([
  ['a relay', relayed],
  ['a Subject', (source$) => source$.pipe(share())],
])('sharing through %s', (_, shared) => {
  const source = (): { source$: Subject<number>; out$: Observable<number>; log: string[] } => {
    const source$ = new Subject<number>();
    return { source$, out$: shared(source$), log: [] };
  };
  const into = (log: string[], name: string, next: (value: number) => void = () => undefined) => ({
    next: (value: number) => {
      log.push(`${name} ${String(value)}`);
      next(value);
    },
    error: (error: unknown) => {
      log.push(`${name} ${String(error)}`);
    },
    complete: () => {
      log.push(`${name} completed`);
    },
  });

  it('delivers each value, and the end, to all subscribers in the order in which they subscribed', () => {
    const { source$, out$, log } = source();
    out$.subscribe(into(log, 'a'));
    out$.subscribe(into(log, 'b'));
    source$.next(1);
    source$.complete();
    expect(log).toEqual(['a 1', 'b 1', 'a completed', 'b completed']);
  });

  it('delivers an error to all subscribers, and starts over with the next one', () => {
    const { source$, out$, log } = source();
    out$.subscribe(into(log, 'a'));
    out$.subscribe(into(log, 'b'));
    source$.error(new Error('e'));
    out$.subscribe(into(log, 'c'));
    expect(log).toEqual(['a Error: e', 'b Error: e', 'c Error: e']);
  });

  it('unsubscribes from its source with the last subscriber', () => {
    const { source$, out$, log } = source();
    const a = out$.subscribe(into(log, 'a'));
    const b = out$.subscribe(into(log, 'b'));
    a.unsubscribe();
    expect(source$.observed).toBe(true);
    source$.next(1);
    b.unsubscribe();
    expect(source$.observed).toBe(false);
    expect(log).toEqual(['b 1']);
  });

  it('delivers the next value first to one who subscribes while a value is delivered', () => {
    const { source$, out$, log } = source();
    const come = (): Subscription => out$.subscribe(into(log, 'late'));
    out$.subscribe(
      into(log, 'a', (value) => {
        if (value === 1) come();
      }),
    );
    source$.next(1);
    source$.next(2);
    expect(log).toEqual(['a 1', 'a 2', 'late 2']);
  });

  it('skips one who is unsubscribed while a value is delivered, by itself or by another', () => {
    const { source$, out$, log } = source();
    const gone = new Subscription();
    gone.add(
      out$.subscribe(
        into(log, 'a', () => {
          gone.unsubscribe();
        }),
      ),
    );
    gone.add(out$.subscribe(into(log, 'b')));
    out$.subscribe(into(log, 'c'));
    source$.next(1);
    source$.next(2);
    expect(log).toEqual(['a 1', 'c 1', 'c 2']);
  });

  it('delivers the value to the others when the source ends while it is delivered', () => {
    const { source$, out$, log } = source();
    out$.subscribe(
      into(log, 'a', () => {
        source$.complete();
      }),
    );
    out$.subscribe(into(log, 'b'));
    source$.next(1);
    out$.subscribe(into(log, 'c'));
    expect(log.sort()).toEqual(['a 1', 'a completed', 'b completed', 'c completed']);
  });
});
