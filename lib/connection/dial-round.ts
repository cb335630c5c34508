import {
  combineLatest,
  defer,
  from,
  merge,
  Observable,
  of,
  Subject,
  Subscription,
  switchMap,
  throwError,
  timeout,
  timer,
} from 'rxjs';
import { ConnectionError } from '../errors';
import type { Logger } from '../log';
import { type Endpoint, shuffled } from '../transport/endpoints';
import { connectFailed } from '../transport/link-errors';
import type { DialOptions, Link, Transport } from '../transport/transport';
import type { Backoff } from './backoff';
import type { Expiring } from './connection-state';
import { type Credentials, type CredentialSource, keepRenewed } from './credentials';

export interface RoundOptions extends DialOptions {
  readonly transport: Transport;
  readonly endpoints: () => Promise<readonly Endpoint[]>;
  /** Where user and password come from, unless from the endpoints. */
  readonly credentials?: CredentialSource | undefined;
  /** Also for a renewal that failed. */
  readonly reconnect: Backoff;
  readonly log: Logger;
}

/**
 * One attempt to connect: asks for endpoints and credentials, then dials each endpoint once, in random order. Credentials that
 * expire are renewed while the link is up.
 *
 * Cold. Emits: the link of the first endpoint that opens. Errors: ConnectionError: the most telling one, when none opens; after the
 * link, when that is lost or its credentials expired. Completes: never. Unsubscribe: ends the link.
 * @param expiring - called when the credentials of a link could not be renewed, and with undefined when they were
 */
export function dialRound(
  options: RoundOptions,
  expiring: (link: Link, expiring: Expiring | undefined) => void = () => undefined,
): Observable<Link> {
  const { transport, connectTimeout, credentials, reconnect, log } = options;
  const endpoints$ = defer(() => from(options.endpoints())).pipe(
    timeout({ first: connectTimeout, with: () => throwError(() => noEndpoints(connectTimeout)) }),
  );
  const renewing = (source: CredentialSource, link: Link, first: Credentials): Observable<never> =>
    keepRenewed(link, first, {
      ask: (held) => source.renew(held, connectTimeout),
      backoff: reconnect,
      renewed: ({ expiresAt }) => {
        log.debug({ expiresAt }, 'credentials are up to date');
        expiring(link, undefined);
      },
      failed: (state) => {
        expiring(link, state);
      },
    });

  return combineLatest([endpoints$, credentials?.ask(connectTimeout) ?? of(undefined)]).pipe(
    switchMap(([endpoints, held]) => {
      const dialled$ = happyEyeballs(
        shuffled(endpoints),
        (endpoint) => transport.dial(held ? { ...endpoint, ...userOf(held) } : endpoint, options),
        mostTelling,
      );
      if (!held || !credentials) return dialled$;
      return dialled$.pipe(switchMap((link) => merge(of(link), renewing(credentials, link, held))));
    }),
  );
}

const userOf = ({ username, password }: Credentials): Pick<Endpoint, 'username' | 'password'> => ({
  username,
  password,
});

function mostTelling(errors: readonly unknown[]): ConnectionError | undefined {
  const failures = errors.map((error) => connectFailed('', error));
  return failures.find((error) => !error.retryable) ?? failures.at(-1);
}

function noEndpoints(within: number): ConnectionError {
  const message = `Cannot connect to RabbitMQ: the \`url\` function gave no endpoint within ${String(within)} ms (\`connectTimeout\`).`;
  return new ConnectionError('CONNECT_FAILED', '', message);
}

/** ms after which another dial starts beside one that has not opened. */
export const RIVAL_AFTER = 1000;

/**
 * Dials the candidates until one opens. The next dial starts when one has failed, or has not opened after `RIVAL_AFTER`. When all
 * candidates are being dialled, one further dial (the rival) runs beside them, and every `RIVAL_AFTER` a new one replaces it, in
 * rotation: dials that began while packets were dropped may never be answered, and must not delay recovery. The first dial of each
 * candidate keeps its full time, for slow brokers. The first to open wins, and the others are unsubscribed.
 *
 * Cold. Emits: the winner's link. Errors: when the first dial of each candidate failed, with the error that `tell` chooses
 * among all; after the link, with the link's own error. Completes: never. Unsubscribe: ends every dial.
 */
export function happyEyeballs<C, L>(
  candidates: readonly C[],
  dial: (candidate: C) => Observable<L>,
  tell: (errors: readonly unknown[]) => unknown,
): Observable<L> {
  return new Observable((subscriber) => {
    const waiting = [...candidates];
    const turns = [...candidates];
    const firsts = new Set<Subscription>();
    let rival: Subscription | undefined;
    let winner: Subscription | undefined;
    const errors: unknown[] = [];

    const launched$ = new Subject<void>();
    const rivals = launched$.pipe(switchMap(() => timer(RIVAL_AFTER))).subscribe(() => {
      if (waiting.length > 0) launchNext();
      else launchRival();
    });

    const launchNext = (): void => {
      const candidate = waiting.shift();
      if (candidate === undefined) return;
      const attempt = new Subscription();
      firsts.add(attempt);
      launch(candidate, attempt);
    };
    const launchRival = (): void => {
      const candidate = turns.shift();
      if (candidate === undefined) return;
      turns.push(candidate);
      rival?.unsubscribe();
      rival = new Subscription();
      launch(candidate, rival);
    };

    const launch = (candidate: C, attempt: Subscription): void => {
      launched$.next();
      attempt.add(
        dial(candidate).subscribe({
          next: (link) => {
            winner = attempt;
            rivals.unsubscribe();
            for (const loser of [...firsts, rival]) if (loser !== attempt) loser?.unsubscribe();
            subscriber.next(link);
          },
          error: (error: unknown) => {
            if (winner === attempt) subscriber.error(error);
            if (winner !== undefined) return;
            errors.push(error);
            // A failed rival is replaced by the timer only. Where dials fail at once, the first ones fail too.
            if (!firsts.delete(attempt)) return;
            if (waiting.length > 0) launchNext();
            else if (firsts.size === 0) subscriber.error(tell(errors));
          },
        }),
      );
    };

    if (candidates.length === 0) subscriber.error(tell([]));
    else launchNext();
    return () => {
      rivals.unsubscribe();
      for (const attempt of [...firsts, rival]) attempt?.unsubscribe();
    };
  });
}
