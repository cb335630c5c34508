import type { Observable } from 'rxjs';
import { handle, type Message } from 'instance-queue';
import { marbles } from '../../support/marbles';
import { bodies, source } from './delivering';

describe('handle', () => {
  it(
    'works on `concurrency` messages at once, and emits in the order in which work ends',
    marbles((helpers) => {
      const { cold, expectObservable, flush } = helpers;
      const { source$, log } = source(helpers, '(abc|)');
      const times: Record<string, string> = { a: '-----(x|)', b: '--(x|)', c: '--(x|)' };
      const work = ({ body }: Message<string>): Observable<string> => cold(times[body] ?? '');
      expectObservable(source$.pipe(handle(work, { concurrency: 2 }), bodies)).toBe('--b-c(a|)');
      flush();
      expect(log).toEqual(['ack b', 'ack c', 'ack a']);
    }),
  );

  it(
    'starts everything at once without `concurrency`: the prefetch is the limit',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, '(abc|)');
      expectObservable(
        source$.pipe(
          handle(() => cold('---(x|)')),
          bodies,
        ),
      ).toBe('---(abc|)');
    }),
  );

  it(
    'emits an outcome before it starts the next work',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const { source$, log } = source(helpers, '(ab|)');
      const work = ({ body }: Message<string>): Observable<string> => {
        log.push(`start ${body}`);
        return cold('-(x|)');
      };
      source$.pipe(handle(work, { concurrency: 1 })).subscribe(({ message }) => log.push(`told ${message.body}`));
      flush();
      expect(log).toEqual(['start a', 'ack a', 'told a', 'start b', 'ack b', 'told b']);
    }),
  );

  it(
    'completes after the last work has ended',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { source$ } = source(helpers, 'a|');
      expectObservable(
        source$.pipe(
          handle(() => cold('---------(x|)')),
          bodies,
        ),
      ).toBe('---------(a|)');
    }),
  );

  it(
    'completes with an empty source, and never with one that never ends',
    marbles((helpers) => {
      const { expectObservable } = helpers;
      expectObservable(source(helpers, '--|').source$.pipe(handle(() => 1))).toBe('--|');
      expectObservable(source(helpers, '---').source$.pipe(handle(() => 1))).toBe('---');
    }),
  );

  it(
    'errors with its source at once; running work settles, what is not started is released',
    marbles((helpers) => {
      const { cold, expectObservable, flush } = helpers;
      const { source$, log } = source(helpers, '(abc)--#');
      const work = () => cold('---------(x|)');
      expectObservable(source$.pipe(handle(work, { concurrency: 2 }), bodies)).toBe('-------#');
      flush();
      expect(log).toEqual(['release c', 'ack a', 'ack b']);
    }),
  );

  it(
    'errors with the work under `fail`; running work settles, what is not started is released',
    marbles((helpers) => {
      const { cold, expectObservable, expectSubscriptions, flush } = helpers;
      const { source$, log } = source(helpers, '(abc)----');
      const work = ({ body }: Message<string>) => cold(body === 'a' ? '--#' : '-----(x|)', {}, 'broken');
      expectObservable(source$.pipe(handle(work, { concurrency: 2, onError: 'fail' }), bodies)).toBe(
        '--#',
        {},
        'broken',
      );
      expectSubscriptions(source$.subscriptions).toBe('^-!');
      flush();
      expect(log).toEqual(['requeue a', 'release c', 'ack b']);
    }),
  );

  it(
    'subscribes to its source once, when it is subscribed to, and unsubscribes with its subscriber',
    marbles((helpers) => {
      const { expectObservable, expectSubscriptions } = helpers;
      const { source$ } = source(helpers, '-a-----');
      expectObservable(
        source$.pipe(
          handle(() => 1),
          bodies,
        ),
        '--^--!',
      ).toBe('---a');
      expectSubscriptions(source$.subscriptions).toBe('--^--!');
    }),
  );
});
