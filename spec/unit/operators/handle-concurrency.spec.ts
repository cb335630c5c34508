import { BehaviorSubject, EMPTY, NEVER, Observable, Subject, concat, of, throwError } from 'rxjs';
import { OptionsError, handle } from 'instance-queue';
import { deliveries } from '../../support/fake-delivery';
import { collect } from '../../support/collect';
import { marbles } from '../../support/marbles';
import { bodies, source } from './delivering';

const numbers = { 0: 0, 1: 1, 2: 2, 3: 3 };

describe('handle with a concurrency that changes', () => {
  it(
    'starts nothing before the first number',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, '(abc|)');
      const concurrency = cold('----2------', numbers);
      const work = () => cold('     -----(x|)');
      const expected = '         ---------(ab)-(c|)';
      expectObservable(source$.pipe(handle(work, { concurrency }), bodies)).toBe(expected);
    }),
  );

  it(
    'starts more at once when it is raised',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, '(abcd|)');
      const concurrency = cold('1--3-----------', numbers);
      const work = () => cold(' -------(x|)');
      // a starts at 0, b and c at 3, d when a has ended
      const expected = '        -------a--(bc)(d|)';
      expectObservable(source$.pipe(handle(work, { concurrency }), bodies)).toBe(expected);
    }),
  );

  it(
    'lets running work end when it is lowered, and starts the next when there is room',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { source$ } = source(helpers, '(abcd|)');
      const concurrency = cold('2-1------', numbers);
      let running = 0;
      const most: number[] = [];
      const work = () =>
        new Observable<string>((subscriber) => {
          most.push(++running);
          subscriber.add(() => running--);
          return cold('----(x|)').subscribe(subscriber);
        });
      source$.pipe(handle(work, { concurrency })).subscribe();
      flush();
      expect(most).toEqual([1, 2, 1, 1]);
    }),
  );

  it(
    'starts nothing more at 0, and goes on when it is raised again',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, 'a-b-------|');
      const concurrency = cold('           1-0---1----', numbers);
      const expected = '                   -a-----b--|';
      expectObservable(
        source$.pipe(
          handle(() => cold('-(x|)'), { concurrency }),
          bodies,
        ),
      ).toBe(expected);
    }),
  );

  it(
    'keeps the last number when the Observable completes',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, '(abc)-----|');
      const work = () => cold('------(x|)');
      expectObservable(source$.pipe(handle(work, { concurrency: of(2) }), bodies)).toBe('------(ab)--(c|)');
    }),
  );

  it(
    'stays subscribed to the Observable until the source has completed and work has ended',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const { source$ } = source(helpers, 'a-|');
      const concurrency = cold('1-----', numbers);
      expectObservable(
        source$.pipe(
          handle(() => cold('----(x|)'), { concurrency }),
          bodies,
        ),
      ).toBe('----(a|)');
      expectSubscriptions(concurrency.subscriptions).toBe('^---!');
    }),
  );

  it(
    'unsubscribes from the Observable with its subscriber',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions } = helpers;
      const { source$ } = source(helpers, 'a-----');
      const concurrency = cold('1-----', numbers);
      expectObservable(source$.pipe(handle(() => NEVER, { concurrency })), '^--!').toBe('');
      expectSubscriptions(concurrency.subscriptions).toBe('^--!');
    }),
  );

  it(
    'errors with the Observable; running work settles, what is not started is released',
    marbles((helpers) => {
      const { cold, expectObservable, flush } = helpers;
      const { source$, log } = source(helpers, '(ab)-----');
      const concurrency = cold('1--#', numbers, 'no numbers');
      const handled$ = source$.pipe(
        handle(() => cold('-----(x|)'), { concurrency }),
        bodies,
      );
      expectObservable(handled$).toBe('---#', {}, 'no numbers');
      flush();
      expect(log).toEqual(['release b', 'ack a']);
    }),
  );

  it.each([
    [0.5, '`0.5` (number)'],
    [-1, '`-1` (number)'],
    [NaN, '`NaN` (number)'],
  ])('errors when it emits %p, and says what was expected', (wrong, shown) => {
    const source$ = new Subject<never>();
    const { error } = collect(source$.pipe(handle(() => 1, { concurrency: concat(of(1), of(wrong)) })));
    expect(error).toBeInstanceOf(OptionsError);
    const sentence = `Expected \`concurrency\` to be an Observable of which each value is an integer of at least 0, or Infinity, got ${shown}.`;
    expect(error).toMatchObject({ option: 'concurrency', message: sentence });
    expect(source$.observed).toBe(false);
  });

  it('completes when it may go on and all that waited was settled elsewhere', () => {
    const [a, b] = deliveries('ab');
    const concurrency = new BehaviorSubject(0);
    const handled = collect(of(a!, b!).pipe(handle(() => 'done', { concurrency })));
    a!.ack();
    b!.ack();
    expect(handled.completed).toBe(false);
    concurrency.next(1);
    expect([handled.values, handled.completed]).toEqual([[], true]);
  });

  it('errors when the Observable completes without a number: nothing would ever start', () => {
    const source$ = new Subject<never>();
    const { error } = collect(source$.pipe(handle(() => 1, { concurrency: EMPTY })));
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID', option: 'concurrency' });
    expect(source$.observed).toBe(false);
  });

  it('does not subscribe to its source when the Observable errors at once', () => {
    let subscribed = false;
    const broken = new Error('broken');
    const source$ = new Observable<never>(() => {
      subscribed = true;
    });
    const { error } = collect(source$.pipe(handle(() => 1, { concurrency: throwError(() => broken) })));
    expect(error).toBe(broken);
    expect(subscribed).toBe(false);
  });

  it('refuses what is neither a number nor a stream of numbers', () => {
    const options: object = { concurrency: 'many' };
    expect(() => handle(() => 1, options)).toThrow(
      'Expected `concurrency` to be an integer of at least 1, or Infinity, or an Observable of such numbers, got `many` (string).',
    );
  });

  it('works with keys: no more than the limit at once, and one per key', () => {
    const concurrency = new Subject<number>();
    const gates = new Map<string, Subject<string>>();
    const started: string[] = [];
    const work = ({ body }: { readonly body: string }): Subject<string> => {
      started.push(body);
      const gate = new Subject<string>();
      gates.set(body, gate);
      return gate;
    };
    of(...deliveries('aAbc'))
      .pipe(handle(work, { concurrency, key: ({ body }) => body.toLowerCase() }))
      .subscribe();
    concurrency.next(1);
    expect(started).toEqual(['a']);
    concurrency.next(2);
    expect(started).toEqual(['a', 'b']);
    gates.get('a')?.complete();
    expect(started).toEqual(['a', 'b', 'A']);
    concurrency.next(9);
    expect(started).toEqual(['a', 'b', 'A', 'c']);
  });
});
