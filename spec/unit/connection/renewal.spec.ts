import { asyncScheduler, defer, type Observable, type ObservableInput } from 'rxjs';
import type { RunHelpers } from 'rxjs/testing';
import type { Backoff } from '../../../lib/connection/backoff';
import { type Credentials, keepRenewed, type RenewalOptions } from '../../../lib/connection/credentials';
import { ConnectionError } from '../../../lib/errors';
import { marbles } from '../../support/marbles';

const BACKOFF: Backoff = {
  min: 100,
  max: 1000,
  factor: 2,
  jitter: 0,
  attempts: 3,
  initialAttempts: 3,
  stableAfter: 0,
};
const broken = new ConnectionError('CREDENTIALS_FAILED', '', 'The `credentials` function failed: out of tokens');
const DAY = 86_400_000;

const token = (password: string, expiresAt?: number, username = 'app'): Credentials => ({
  username,
  password,
  ...(expiresAt !== undefined && { expiresAt: new Date(expiresAt) }),
});

type Ask = () => ObservableInput<Credentials>;
type Helpers = Pick<RunHelpers, 'cold'>;
interface Renewing {
  readonly renewal$: Observable<never>;
  /** What happened, with its time in ms: `0 asked`, `10 sent b`, `10 failed 2 in 100 ms`, `20 renewed b`, `30 lost`. */
  readonly log: readonly string[];
  readonly lost: () => ConnectionError | undefined;
}

/** A link whose credentials are renewed by these asks in turn, the last one again and again. */
function renewing(
  { cold }: Helpers,
  first: Credentials,
  asks: readonly Ask[],
  confirm: () => ObservableInput<unknown> = () => cold('(o|)'),
  backoff: Partial<Backoff> = {},
): Renewing {
  const log: string[] = [];
  const say = (what: string): void => void log.push(`${asyncScheduler.now()} ${what}`);
  let count = 0;
  let lost: ConnectionError | undefined;
  const link = {
    endpoint: 'here:5672/',
    updateSecret: (secret: string) => {
      say(`sent ${secret}`);
      return confirm();
    },
    lose: (cause: ConnectionError) => {
      lost = cause;
      say('lost');
    },
  };
  const options: RenewalOptions = {
    ask: () =>
      defer(() => {
        say('asked');
        return asks[Math.min(count++, asks.length - 1)]!();
      }),
    backoff: { ...BACKOFF, ...backoff },
    renewed: ({ password }) => say(`renewed ${password}`),
    failed: ({ attempt, delay, cause }) => {
      expect(cause).toBe(broken);
      say(`failed, ${attempt} in ${delay} ms`);
    },
  };
  return { renewal$: keepRenewed(link, first, options), log, lost: () => lost };
}

/** Runs it for so long, then looks at what happened. */
function after(ms: number, helpers: RunHelpers, { renewal$ }: Renewing, look: () => void): void {
  const { expectObservable, cold, flush } = helpers;
  expectObservable(renewal$, `^ ${ms}ms !`).toBe('-');
  cold(`${ms}ms x`).subscribe(look);
  flush();
}

describe('credentials that expire are renewed on the living link', () => {
  it(
    'after two thirds of the time that is left to them, each time anew',
    marbles((helpers) => {
      const ask = (): Observable<Credentials> =>
        defer(() => [token(`t${asyncScheduler.now()}`, asyncScheduler.now() + 3000)]);
      const under = renewing(helpers, token('first', 3000), [ask]);
      after(6500, helpers, under, () => {
        const renewal = (ms: number): string[] => [`${ms} asked`, `${ms} sent t${ms}`, `${ms} renewed t${ms}`];
        expect(under.log).toEqual([...renewal(2000), ...renewal(4000), ...renewal(6000)]);
      });
    }),
  );

  it(
    'not at all if they do not expire, and no more after a renewal with such',
    marbles((helpers) => {
      const { cold, expectObservable, flush } = helpers;
      const never = renewing(helpers, token('for ever'), []);
      expectObservable(never.renewal$).toBe('|');
      const once = renewing(helpers, token('first', 3000), [() => cold('(t|)', { t: token('for ever') })]);
      expectObservable(once.renewal$).toBe('2000ms |');
      flush();
      expect([never.log, once.log]).toEqual([[], ['2000 asked', '2000 sent for ever', '2000 renewed for ever']]);
    }),
  );

  it(
    'also after longer than a timer of Node can wait',
    marbles((helpers) => {
      const { cold } = helpers;
      const under = renewing(helpers, token('first', 90 * DAY), [() => cold('(t|)', { t: token('t', 900 * DAY) })]);
      after(61 * DAY, helpers, under, () => {
        expect(under.log).toEqual([60 * DAY].flatMap((ms) => [`${ms} asked`, `${ms} sent t`, `${ms} renewed t`]));
      });
    }),
  );

  it(
    'again and again while the source fails, with growing delays, also beyond the attempts of an outage, and at least once before they expire',
    marbles((helpers) => {
      const { cold } = helpers;
      const fail = (): Observable<Credentials> => cold('#', {}, broken);
      const good = (): Observable<Credentials> => cold('10ms (t|)', { t: token('good', 100_000) });
      const under = renewing(helpers, token('first', 3000), [fail, fail, fail, fail, good]);
      after(3500, helpers, under, () => {
        expect(under.log).toEqual([
          '2000 asked',
          '2000 failed, 2 in 100 ms',
          '2100 asked',
          '2100 failed, 3 in 200 ms',
          '2300 asked',
          // Not 400 and 800 ms, since they count as expired at 2850.
          '2300 failed, 4 in 367 ms',
          '2667 asked',
          '2667 failed, 5 in 122 ms',
          '2789 asked',
          '2799 sent good',
          '2799 renewed good',
        ]);
      });
    }),
  );

  it(
    'not by delays below 50 ms, even if the connection redials without any',
    marbles((helpers) => {
      const { cold } = helpers;
      const under = renewing(helpers, token('first', 30_000), [() => cold('#', {}, broken)], undefined, {
        min: 0,
        max: 0,
      });
      after(20_101, helpers, under, () => {
        expect(under.log.filter((line) => line.endsWith('asked'))).toEqual([
          '20000 asked',
          '20050 asked',
          '20100 asked',
        ]);
      });
    }),
  );

  it(
    'and not sent again while the source gives the same, which it is asked less and less long before they expire',
    marbles((helpers) => {
      const { cold } = helpers;
      const same = (): Observable<Credentials> => cold('(t|)', { t: token('first', 2700) });
      const next = (): Observable<Credentials> => cold('(t|)', { t: token('next', 100_000) });
      const under = renewing(helpers, token('first', 2700), [same, same, next]);
      after(2699, helpers, under, () => {
        expect(under.log).toEqual([
          '1800 asked',
          '1800 renewed first',
          '2400 asked',
          '2400 renewed first',
          '2600 asked',
          '2600 sent next',
          '2600 renewed next',
        ]);
      });
    }),
  );
});

describe('a link is lost by its credentials', () => {
  const lostBy = (sentence: string): object => ({
    code: 'CREDENTIALS_FAILED',
    retryable: true,
    endpoint: 'here:5672/',
    message: expect.stringContaining(sentence) as string,
  });
  const expired = 'The credentials of the connection to here:5672/ expired before they were renewed.';

  it.each<[string, string, (helpers: Helpers) => { asks: Ask[]; confirm?: () => ObservableInput<unknown> }]>([
    ['the source fails until they expire', broken.message, ({ cold }) => ({ asks: [() => cold('#', {}, broken)] })],
    [
      'the source gives the same until they expire',
      'The `credentials` function gave no later ones.',
      ({ cold }) => ({ asks: [() => cold('(t|)', { t: token('first', 3000) })] }),
    ],
    [
      'the broker does not answer before they expire',
      'The broker did not confirm the new ones.',
      ({ cold }) => ({ asks: [() => cold('(t|)', { t: token('next', 9000) })], confirm: () => cold('-') }),
    ],
  ])('when %s: a little before that', (_when, why, setUp) => {
    marbles((helpers) => {
      const { expectObservable, flush } = helpers;
      const { asks, confirm } = setUp(helpers);
      const under = renewing(helpers, token('first', 3000), asks, confirm);
      const errors: unknown[] = [];
      under.renewal$.subscribe({ error: (error: unknown) => errors.push(error, asyncScheduler.now()) });
      expectObservable(helpers.cold('|'));
      flush();
      const [error, when] = errors;
      expect(error).toMatchObject(lostBy(`${expired} ${why}`));
      expect(error).toBe(under.lost());
      expect(when).toBeGreaterThanOrEqual(2850);
      expect(when).toBeLessThan(3000);
    })();
  });

  it(
    'when the source gives another user: AMQP has no way to change it',
    marbles((helpers) => {
      const { cold, flush } = helpers;
      const under = renewing(helpers, token('a', 3000), [() => cold('(t|)', { t: token('b', 9000, 'another') })]);
      let error: unknown;
      under.renewal$.subscribe({ error: (thrown: unknown) => (error = thrown) });
      flush();
      expect(error).toMatchObject(lostBy('gave another user, so the connection to here:5672/ is made anew.'));
      expect(under.log).toEqual(['2000 asked', '2000 lost']);
    }),
  );

  it(
    'when the broker refuses them: with the error of the link',
    marbles((helpers) => {
      const { cold, expectObservable } = helpers;
      const lost = new ConnectionError('CREDENTIALS_FAILED', '', 'Refused.', { replyCode: 530 });
      const asks = [() => cold('(t|)', { t: token('b', 9000) })];
      const { renewal$ } = renewing(helpers, token('a', 3000), asks, () => cold('10ms #', {}, lost));
      expectObservable(renewal$).toBe('2010ms #', {}, lost);
    }),
  );
});
