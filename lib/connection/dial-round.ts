import { combineLatest, defer, from, merge, of, switchMap, throwError, timeout, type Observable } from 'rxjs';
import { ConnectionError } from '../errors';
import type { Logger } from '../log';
import { shuffled, type Endpoint } from '../transport/endpoints';
import { connectFailed } from '../transport/link-errors';
import type { DialOptions, Link, Transport } from '../transport/transport';
import type { Backoff } from './backoff';
import type { Expiring } from './connection-state';
import type { Credentials, CredentialSource } from './credentials';
import { happyEyeballs } from './happy-eyeballs';
import { keepRenewed } from './renewal';

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
