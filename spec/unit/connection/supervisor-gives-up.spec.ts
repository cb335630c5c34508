import { NEVER, type ObservableInput } from 'rxjs';
import type { Reached } from '../../../lib/connection/supervisor';
import { ConnectionError } from '../../../lib/errors';
import { marbles } from '../../support/marbles';
import {
  at,
  closed,
  connected,
  connecting,
  disconnected,
  failed,
  forbidden,
  link,
  lost,
  reconnecting,
  supervise,
} from './supervising';

const gaveUp = (times: number, cause: ConnectionError): ConnectionError =>
  new ConnectionError(
    cause.code,
    cause.endpoint,
    `Gave up after ${String(times)} attempt${times === 1 ? '' : 's'}. ${cause.message}`,
    {
      cause,
    },
  );

describe('a supervised link is given up', () => {
  it(
    'at once when the first attempt is refused for good',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor, count } = supervise(helpers, [cold('--#', {}, forbidden)]);
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$).toBe('ab-(c|)', { a: disconnected, b: connecting(1), c: closed(forbidden) });
      expectObservable(supervisor.up$).toBe('a--(a|)', { a: undefined });
      at(helpers, '900ms x', () => expect(count()).toBe(1));
    }),
  );

  it(
    'never for a refusal, when told not to fail fast',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const dials = [cold<Reached>('#', {}, forbidden), cold('L', { L: link })];
      const { supervisor } = supervise(helpers, dials, { max: 50 }, { failFast: false });
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$, '--^ 80ms !').toBe('--a 48ms (bc)', {
        a: reconnecting(2, 50, forbidden),
        b: connecting(2),
        c: connected(1),
      });
    }),
  );

  it(
    'never by drop(), however few attempts there are: neither a dial nor a link',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const dials = [cold('-----L', { L: link }), cold('L', { L: link })];
      const { supervisor } = supervise(helpers, dials, { attempts: 0, initialAttempts: 1 });
      supervisor.start();
      at(helpers, '---d----d', () => supervisor.drop(lost));
      expectObservable(supervisor.state$, '^ 30ms !').toBe('a--(bcd)(ef)', {
        a: connecting(1),
        b: reconnecting(2, 0, lost),
        c: connecting(2),
        d: connected(1),
        e: reconnecting(1, 0, lost),
        f: connected(2),
      });
    }),
  );

  it(
    'when the dial that drop() began has failed, and there are no more attempts',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const dials = [cold('L', { L: link }), cold<Reached>('-#', {}, failed)];
      const { supervisor } = supervise(helpers, dials, { attempts: 1 });
      supervisor.start();
      at(helpers, '---d', () => supervisor.drop(lost));
      expectObservable(supervisor.state$, '^').toBe('a--b(c|)', {
        a: connected(1),
        b: reconnecting(1, 0, lost),
        c: closed(gaveUp(1, failed)),
      });
    }),
  );

  it(
    'when `initialAttempts` have failed, with the last failure as cause',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const dials = [cold<Reached>('#', {}, forbidden), cold<Reached>('-#', {}, failed)];
      const backoff = { initialAttempts: 2, factor: 1 };
      const { supervisor } = supervise(helpers, dials, backoff, { failFast: false });
      at(helpers, '-s', () => supervisor.start());
      expectObservable(supervisor.state$, '--^').toBe('--a 98ms b(c|)', {
        a: reconnecting(2, 100, forbidden),
        b: connecting(2),
        c: closed(gaveUp(2, failed)),
      });
      at(helpers, '900ms x', () => {
        const { state } = supervisor;
        expect(state.status === 'closed' && state.cause?.cause).toBe(failed);
      });
    }),
  );

  it(
    'when `attempts` of one outage have failed; a success starts the count anew',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const up = cold('L-#', { L: link }, lost);
      const down = cold<Reached>('#', {}, failed);
      const { supervisor, count } = supervise(helpers, [up, down, up, down, down], { attempts: 2, factor: 1 });
      at(helpers, 's', () => supervisor.start());
      const states: string[] = [];
      supervisor.state$.subscribe((state) =>
        states.push(`${state.status} ${'attempt' in state ? String(state.attempt) : ''}`),
      );
      at(helpers, '900ms x', () => {
        expect(states).toEqual([
          'disconnected ',
          'connecting 1',
          'connected ',
          'reconnecting 1',
          'reconnecting 2',
          'connected ',
          'reconnecting 1',
          'reconnecting 2',
          'closed ',
        ]);
        expect(count()).toBe(5);
      });
      expectObservable(supervisor.state$, '899ms ^').toBe('899ms (x|)', { x: closed(gaveUp(2, failed)) });
    }),
  );

  it(
    'at its first loss with `attempts: 0`',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const { supervisor } = supervise(helpers, [cold('L-#', { L: link }, lost)], { attempts: 0, initialAttempts: 1 });
      at(helpers, 's', () => supervisor.start());
      expectObservable(supervisor.state$, '-^').toBe('-a(c|)', { a: connected(1), c: closed(gaveUp(0, lost)) });
    }),
  );

  it(
    'with a cause that has a reply code when the broker gave one',
    marbles((helpers) => {
      const { cold } = helpers;
      const dials: ObservableInput<Reached>[] = [cold<Reached>('#', {}, forbidden), NEVER];
      const { supervisor } = supervise(helpers, dials, { initialAttempts: 1 }, { failFast: false });
      supervisor.start();
      at(helpers, '5ms x', () => {
        const { state } = supervisor;
        expect(state).toMatchObject({
          status: 'closed',
          cause: { code: 'CONNECT_FAILED', replyCode: 403, retryable: false },
        });
      });
    }),
  );
});
