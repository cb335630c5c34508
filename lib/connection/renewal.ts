import { EMPTY, asyncScheduler, defer, expand, from, ignoreElements, map, merge, mergeMap, of, retry } from 'rxjs';
import { switchMap, take, tap, throwError, timer, type Observable, type ObservableInput } from 'rxjs';
import type { ConnectionError } from '../errors';
import { LONGEST } from '../options';
import type { Link } from '../transport/transport';
import { backoffDelay, type Backoff } from './backoff';
import type { Expiring } from './connection-state';
import { RENEW_AFTER, credentialsFailed, type Credentials } from './credentials';

/**
 * Credentials count as expired a little early, because the broker checks a message some time after it was written: by this share of
 * the time that is left to them, and by `atMost` ms.
 */
const MARGIN = { share: 0.05, atMost: 1000 };
/** ms between two calls of the source, at least. */
const AT_LEAST = 50;

/** The part of a link that is renewed. */
export interface Renewable extends Pick<Link, 'endpoint' | 'lose'> {
  /** As `Link.updateSecret`. */
  updateSecret(secret: string): ObservableInput<unknown>;
}

export interface RenewalOptions {
  /** Asks for credentials in the place of these. Errors when there are none within some time. */
  readonly ask: (held: Credentials) => Observable<Credentials>;
  /** How long to wait after an ask that failed. */
  readonly backoff: Backoff;
  readonly random?: () => number;
  /** Called when the broker has what the source gave. */
  readonly renewed: (credentials: Credentials) => void;
  /** Called when the source failed: why, and when it is asked again. */
  readonly failed: (expiring: Expiring) => void;
}

/**
 * Renews the credentials of a link for as long as it is subscribed: asks the source before they expire, and again after
 * each failure, and gives the broker the result.
 *
 * Cold. Emits: never. Completes: with credentials that do not expire. Errors: ConnectionError, when the credentials expired before
 * they were renewed, and when the source gave another user, which AMQP cannot change on a connection. The link counts as lost
 * then: RabbitMQ refuses each message, declaration and consumer of an expired token (403), and closes its channel.
 * Unsubscribe: leaves no timer.
 */
export function keepRenewed(link: Renewable, first: Credentials, options: RenewalOptions): Observable<never> {
  return of(first).pipe(
    expand((held) => (held.expiresAt ? renewedOnce(link, held, held.expiresAt.getTime(), options) : EMPTY)),
    ignoreElements(),
  );
}

/** Emits the next credentials when the broker has them. */
function renewedOnce(
  link: Renewable,
  held: Credentials,
  expiresAt: number,
  { ask, backoff, random, renewed, failed }: RenewalOptions,
): Observable<Credentials> {
  const left = expiresAt - asyncScheduler.now();
  const end = expiresAt - Math.min(MARGIN.atMost, left * MARGIN.share);
  let why = 'The `credentials` function gave no later ones.';
  let cause: ConnectionError | undefined;

  const lose = (sentence: string): Observable<never> =>
    defer(() => {
      const error = credentialsFailed(sentence, cause, link.endpoint);
      link.lose(error);
      return throwError(() => error);
    });
  const expired$ = wait(end - asyncScheduler.now()).pipe(
    mergeMap(() =>
      lose(`The credentials of the connection to ${link.endpoint} expired before they were renewed. ${why}`),
    ),
  );
  const asked$ = ask(held).pipe(
    retry({
      delay: (error: ConnectionError, count) => {
        cause = error;
        why = error.message;
        // Once more before they expire, however long the delays have grown.
        const longest = Math.round((end - asyncScheduler.now()) * RENEW_AFTER);
        const delay = Math.max(AT_LEAST, Math.min(longest, backoffDelay(backoff, count, random && { random })));
        failed({ expiresAt: new Date(expiresAt), attempt: count + 1, delay, cause });
        return timer(delay);
      },
    }),
  );
  const install = (given: Credentials): Observable<Credentials> => {
    cause = undefined;
    why = 'The broker did not confirm the new ones.';
    if (given.username !== held.username) {
      return lose(
        `The \`credentials\` function gave another user, so the connection to ${link.endpoint} is made anew.`,
      );
    }
    // A source that keeps its token for a while gives the same again.
    if (given.password === held.password) return of(given);
    return from(link.updateSecret(given.password)).pipe(map(() => given));
  };
  return merge(
    expired$,
    wait(Math.max(AT_LEAST, left * RENEW_AFTER)).pipe(
      switchMap(() => asked$),
      switchMap(install),
      tap(renewed),
    ),
  ).pipe(take(1));
}

/** `timer`, for longer than Node's timers can wait. */
function wait(ms: number): Observable<unknown> {
  return ms <= LONGEST ? timer(Math.max(0, ms)) : timer(LONGEST).pipe(switchMap(() => wait(ms - LONGEST)));
}
