import { asyncScheduler, defer, finalize, of, share, tap, throwError, timeout, type Observable } from 'rxjs';
import { ConnectionError, sentenceOf } from '../errors';
import { checkOptions, date, string, type Shape } from '../options';

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
export const RENEW_AFTER = 2 / 3;

/** Why there are no credentials that can be used. */
export const credentialsFailed = (why: string, cause?: unknown, endpoint = ''): ConnectionError =>
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
