import { ConnectionError } from 'instance-queue';
import { EMPTY, NEVER, throwError, type Observable } from 'rxjs';
import { CredentialSource } from '../../../lib/connection/credentials';
import { dialRound, type RoundOptions } from '../../../lib/connection/dial-round';
import { loggerFrom } from '../../../lib/log';
import { parseEndpoint, type Endpoint } from '../../../lib/transport/endpoints';
import type { Link } from '../../../lib/transport/transport';
import { collect } from '../../support/collect';

const failed = (label: string, retryable: boolean): ConnectionError =>
  new ConnectionError('CONNECT_FAILED', label, `No ${label}.`, { retryable });

/** A round over these hosts, each of which fails: those that begin with `final` for good. */
function round(hosts: readonly string[], dial?: (endpoint: Endpoint) => Observable<Link>): RoundOptions {
  const failing = ({ label }: Endpoint): Observable<Link> =>
    throwError(() => failed(label, !label.startsWith('final')));
  return {
    transport: { dial: dial ?? failing, back$: EMPTY },
    endpoints: () => Promise.resolve(hosts.map((host) => parseEndpoint(`amqp://me:secret@${host}`))),
    connectTimeout: 1000,
    heartbeat: 0,
    wire: true,
    reconnect: { min: 100, max: 1000, factor: 2, jitter: 0, attempts: 5, initialAttempts: 5, stableAfter: 1000 },
    log: loggerFrom('silent', {}),
  };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('an attempt to connect that fails at every endpoint', () => {
  it.each([1, 2, 3, 4, 5])('errors with a failure that is final, if there is one (%i)', async () => {
    const outcome = collect(dialRound(round(['one', 'final', 'three'])));
    await jest.advanceTimersByTimeAsync(5000);
    expect(outcome.error).toMatchObject({ code: 'CONNECT_FAILED', retryable: false, message: 'No final:5672/.' });
  });

  it('errors with one of them otherwise', async () => {
    const outcome = collect(dialRound(round(['one', 'two'])));
    await jest.advanceTimersByTimeAsync(5000);
    expect(outcome.error).toMatchObject({ code: 'CONNECT_FAILED', retryable: true });
  });

  it('errors when no endpoint is named in time', async () => {
    const outcome = collect(dialRound({ ...round([]), endpoints: () => new Promise(() => undefined) }));
    await jest.advanceTimersByTimeAsync(999);
    expect(outcome.error).toBeUndefined();
    await jest.advanceTimersByTimeAsync(1);
    expect(outcome.error).toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringContaining('gave no endpoint within 1000 ms') as string,
    });
  });
});

describe('an attempt to connect', () => {
  it('dials each endpoint once', async () => {
    const dialled: string[] = [];
    const dial = ({ label }: Endpoint): Observable<Link> => {
      dialled.push(label);
      return throwError(() => failed(label, true));
    };
    collect(dialRound(round(['one', 'two', 'three'], dial)));
    await jest.advanceTimersByTimeAsync(5000);
    expect(dialled.sort()).toEqual(['one:5672/', 'three:5672/', 'two:5672/']);
  });

  it('dials with the user of its endpoint', async () => {
    const users: unknown[] = [];
    const dial = ({ username, password }: Endpoint): Observable<Link> => {
      users.push([username, password]);
      return NEVER;
    };
    const { subscription } = collect(dialRound(round(['one'], dial)));
    await jest.advanceTimersByTimeAsync(10);
    subscription.unsubscribe();
    expect(users).toEqual([['me', 'secret']]);
  });

  it('dials with the credentials that it is given instead', async () => {
    const users: unknown[] = [];
    const dial = ({ username, password }: Endpoint): Observable<Link> => {
      users.push([username, password]);
      return NEVER;
    };
    const credentials = CredentialSource.of(() => ({ username: 'ann', password: 'token' }));
    const { subscription } = collect(dialRound({ ...round(['one'], dial), credentials }));
    await jest.advanceTimersByTimeAsync(10);
    subscription.unsubscribe();
    expect(users).toEqual([['ann', 'token']]);
  });
});
