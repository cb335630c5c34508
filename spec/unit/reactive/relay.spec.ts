import { Subject, Subscription, share, type Observable } from 'rxjs';
import { Relay } from '../../../lib/reactive/relay';

const relayed = <T>(source$: Observable<T>): Observable<T> => source$.pipe(share({ connector: () => new Relay() }));

/** The same as with a Subject: whatever happens to one of them is done to both. */
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

  it('tells each value to all, in the order in which they came, and the end', () => {
    const { source$, out$, log } = source();
    out$.subscribe(into(log, 'a'));
    out$.subscribe(into(log, 'b'));
    source$.next(1);
    source$.complete();
    expect(log).toEqual(['a 1', 'b 1', 'a completed', 'b completed']);
  });

  it('tells an error to all, and begins anew with the next', () => {
    const { source$, out$, log } = source();
    out$.subscribe(into(log, 'a'));
    out$.subscribe(into(log, 'b'));
    source$.error(new Error('e'));
    out$.subscribe(into(log, 'c'));
    expect(log).toEqual(['a Error: e', 'b Error: e', 'c Error: e']);
  });

  it('unsubscribes from its source with the last', () => {
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

  it('lets somebody come in the middle of a value: the next is the first one told', () => {
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

  it('lets somebody go in the middle of a value, also another one', () => {
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

  it('goes on with the others where the source ends in the middle of a value', () => {
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
