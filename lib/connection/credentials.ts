import {
  EMPTY,
  asyncScheduler,
  defer,
  expand,
  finalize,
  from,
  ignoreElements,
  map,
  merge,
  mergeMap,
  of,
  retry,
  share,
  switchMap,
  take,
  tap,
  throwError,
  timeout,
  timer,
  type Observable,
  type ObservableInput,
} from 'rxjs';
import { ConnectionError, sentenceOf } from '../errors';
import { LONGEST, checkOptions, date, string, type Shape } from '../options';
import type { Link } from '../transport/transport';
import { backoffDelay, type Backoff } from './backoff';
import type { Expiring } from './connection-state';

/** What a connection logs in with. */
export interface Credentials {
  /** RabbitMQ's OAuth 2 plugin takes the user from the token and ignores this name; it may be empty then. */
  readonly username: string;
  /** The password, or the token. */
  readonly password: string;
  /**
   * When the broker stops accepting them, by the clock of this machine. They are renewed after two thirds of the time until
   * then. Without it they are asked for at each attempt to connect, and never in between.
   */
  readonly expiresAt?: Date;
}

/** Gives the credentials of the moment. */
export type CredentialsFunction = () => Credentials | Promise<Credentials>;

const CREDENTIALS: Shape<Credentials> = { username: string, password: string, expiresAt: date };

/** Credentials are renewed when this share of the time that is left to them has passed. */
const RENEW_AFTER = 2 / 3;

/** Why there are no credentials that can be used. */
const credentialsFailed = (why: string, cause?: unknown, endpoint = ''): ConnectionError =>
  new ConnectionError('CREDENTIALS_FAILED', endpoint, why, { cause });

/**
 * Asks a function for credentials, one call at a time. All connections of the process that were given the same function share
 * its calls: what asks during a call gets the result of that call.
 */
export class CredentialSource {
  static readonly #sources = new WeakMap<CredentialsFunction, CredentialSource>();

  readonly #call: CredentialsFunction;
  /** What the last call gave, and until when it will do for a renewal. */
  #latest: { readonly given: Credentials; readonly until: number } | undefined;
  #underWay$: Observable<Credentials> | undefined;

  private constructor(call: CredentialsFunction) {
    this.#call = call;
  }

  /** The source of a function, one for all who use it. */
  static of(call: CredentialsFunction): CredentialSource {
    let source = this.#sources.get(call);
    if (!source) this.#sources.set(call, (source = new CredentialSource(call)));
    return source;
  }

  /**
   * Cold. Emits: credentials that have not expired, once; then completes. Errors: ConnectionError CREDENTIALS_FAILED, if the
   * function throws, rejects, gives something else, or gives nothing within `within` ms. Unsubscribe: stops waiting; the next
   * to ask does not get the result of a call for which nothing waits any more.
   */
  ask(within: number): Observable<Credentials> {
    return defer(() => (this.#underWay$ ??= this.#begin(within))).pipe(answeredIn(within));
  }

  /**
   * As `ask`, for credentials in the place of these. Without a call if the last one gave such: two connections that are due at the
   * same time share it, and one that failed does not have to ask again when the other has succeeded.
   */
  renew(held: Credentials, within: number): Observable<Credentials> {
    return defer(() => {
      const latest = this.#latest;
      const newer = latest?.given.expiresAt && held.expiresAt && latest.given.expiresAt > held.expiresAt;
      return newer && asyncScheduler.now() < latest.until ? of(latest.given) : this.ask(within);
    });
  }

  #begin(within: number): Observable<Credentials> {
    const underWay$ = defer(() => this.#answer()).pipe(
      tap((given) => {
        const now = asyncScheduler.now();
        const left = (given.expiresAt?.getTime() ?? now) - now;
        this.#latest = { given, until: now + left * RENEW_AFTER };
      }),
      // For the call itself, too: connections that join it one after the other would wait for ever for one that hangs.
      answeredIn(within),
      finalize(() => {
        if (this.#underWay$ === underWay$) this.#underWay$ = undefined;
      }),
      share(),
    );
    return underWay$;
  }

  async #answer(): Promise<Credentials> {
    let given: Credentials;
    try {
      given = await this.#call();
    } catch (error) {
      throw credentialsFailed(`The \`credentials\` function failed: ${sentenceOf(error)}`, error);
    }
    return checked(given);
  }
}

const answeredIn = (ms: number) =>
  timeout<Credentials, Observable<never>>({
    first: ms,
    with: () =>
      throwError(() =>
        credentialsFailed(`The \`credentials\` function gave nothing within ${String(ms)} ms (\`connectTimeout\`).`),
      ),
  });

/** Copied, so that a later change of the given object changes nothing. Errors show no values. */
function checked(given: Credentials): Credentials {
  try {
    checkOptions(given, CREDENTIALS, {
      of: 'what the `credentials` function gives',
      path: 'credentials().',
      required: ['username', 'password'],
      secret: true,
    });
  } catch (error) {
    throw credentialsFailed(`The \`credentials\` function gave no credentials. ${sentenceOf(error)}`, error);
  }
  const { username, password, expiresAt } = given;
  if (expiresAt === undefined) return { username, password };
  if (expiresAt.getTime() <= asyncScheduler.now()) {
    throw credentialsFailed(
      `The \`credentials\` function gave credentials that expired at ${expiresAt.toISOString()}. Is the clock of this machine right?`,
    );
  }
  return { username, password, expiresAt: new Date(expiresAt) };
}

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
