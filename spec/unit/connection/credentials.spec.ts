import { CredentialSource, type Credentials, type CredentialsFunction } from '../../../lib/connection/credentials';
import { collect } from '../../support/collect';

const WITHIN = 1000;
const SECRET = 'correct-horse';
const good: Credentials = { username: 'app', password: SECRET };

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  expect(jest.getTimerCount()).toBe(0);
  jest.useRealTimers();
});

/** A function that is answered by hand, one call at a time. */
function byHand() {
  const answers: ((given: Credentials) => void)[] = [];
  const call = jest.fn<Promise<Credentials>, []>(() => new Promise((resolve) => answers.push(resolve)));
  return { source: CredentialSource.of(call), call, answer: (given = good) => answers.shift()?.(given) };
}

const soon = (ms = 0): Promise<void> => jest.advanceTimersByTimeAsync(ms);
const ask = async (call: CredentialsFunction) => {
  const asked = collect(CredentialSource.of(call).ask(WITHIN));
  await soon();
  return asked;
};

describe('what the function gives', () => {
  it.each<[string, CredentialsFunction]>([
    ['as it is', () => good],
    ['by a promise', () => Promise.resolve(good)],
  ])('is taken %s, once, without its time of expiry if it has none', async (_how, call) => {
    expect(await ask(call)).toMatchObject({ values: [good], completed: true });
  });

  it('is copied: what becomes of the Date later does not matter', async () => {
    const expiresAt = new Date(Date.now() + 1000);
    const { values } = await ask(() => ({ ...good, expiresAt }));
    expiresAt.setTime(0);
    expect(values[0]?.expiresAt?.getTime()).toBe(Date.now() + 1000);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'Expected `credentials()` to be an object with the options of'],
    ['a string', SECRET, 'got a string.'],
    ['no user', { password: SECRET }, 'Expected `credentials().username` to be a string, got nothing.'],
    ['no password', { username: 'app' }, 'Expected `credentials().password` to be a string, got nothing.'],
    ['a number', { ...good, password: 12345 }, 'Expected `credentials().password` to be a string, got a number.'],
    ['a Buffer', { ...good, password: Buffer.from(SECRET) }, 'to be a string, got an object.'],
    ['seconds', { ...good, expiresAt: 12345 }, 'Expected `credentials().expiresAt` to be a valid Date, got a number.'],
    ['an invalid Date', { ...good, expiresAt: new Date('soon') }, 'to be a valid Date, got an object.'],
    ['another name', { ...good, expires: new Date() }, 'Unknown option `credentials().expires`'],
  ])('is refused if it is %s, and never shown', async (_what, given, sentence) => {
    const { error } = await ask(() => given as Credentials);
    expect(error).toMatchObject({
      code: 'CREDENTIALS_FAILED',
      retryable: true,
      message: expect.stringContaining(sentence) as string,
      cause: { code: 'OPTIONS_INVALID' },
    });
    expect(String(error)).toMatch(/^ConnectionError: The `credentials` function gave no credentials\. /);
    expect(String(error)).not.toContain(SECRET);
    expect(String(error)).not.toContain('12345');
  });

  it('is refused if it has expired, with a word about the clock', async () => {
    const { error } = await ask(() => ({ ...good, expiresAt: new Date(Date.now()) }));
    expect(error).toMatchObject({ code: 'CREDENTIALS_FAILED', retryable: true });
    expect(String(error)).toContain(`expired at ${new Date().toISOString()}. Is the clock of this machine right?`);
  });

  it.each<[string, CredentialsFunction]>([
    [
      'throws',
      () => {
        throw new Error('no tokens today');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no tokens today'))],
  ])('is an error with its cause if it %s', async (_how, call) => {
    const { error } = await ask(call);
    expect(error).toMatchObject({
      code: 'CREDENTIALS_FAILED',
      retryable: true,
      message: 'The `credentials` function failed: no tokens today',
      cause: { message: 'no tokens today' },
    });
  });
});

describe('one call is under way at a time', () => {
  it('an ask during a call gets the result of that call, a later one makes a call of its own', async () => {
    const { source, call, answer } = byHand();
    const [first, second] = [collect(source.ask(WITHIN)), collect(CredentialSource.of(call).ask(WITHIN))];
    await soon();
    answer();
    await soon();
    expect([first.values, second.values]).toEqual([[good], [good]]);
    expect(call).toHaveBeenCalledTimes(1);
    const third = collect(source.ask(WITHIN));
    const other = { ...good, password: 'other' };
    answer(other);
    await soon();
    expect(third.values).toEqual([other]);
    expect(call).toHaveBeenCalledTimes(2);
  });

  it('the next ask after a failed call makes a call of its own', async () => {
    let failing = true;
    const call = (): Credentials => {
      if (failing) throw new Error('not now');
      return good;
    };
    expect((await ask(call)).error).toBeDefined();
    failing = false;
    expect((await ask(call)).values).toEqual([good]);
  });

  it('a call that hangs fails for all that wait when its time is up, and the next ask makes a call of its own', async () => {
    const { source, call, answer } = byHand();
    const first = collect(source.ask(WITHIN));
    await soon(WITHIN / 2);
    const second = collect(source.ask(WITHIN));
    await soon(WITHIN / 2);
    const sentence = 'The `credentials` function gave nothing within 1000 ms (`connectTimeout`).';
    for (const { error } of [first, second])
      expect(error).toMatchObject({ code: 'CREDENTIALS_FAILED', message: sentence });
    const third = collect(source.ask(WITHIN));
    expect(call).toHaveBeenCalledTimes(2);
    answer();
    answer();
    await soon();
    expect(third.values).toEqual([good]);
  });

  it('an ask waits for its own time at most, also if another waits longer for the same call', async () => {
    const { source, answer } = byHand();
    const patient = collect(source.ask(WITHIN));
    const hasty = collect(source.ask(10));
    await soon(10);
    expect([patient.error, hasty.error]).toEqual([undefined, expect.objectContaining({ code: 'CREDENTIALS_FAILED' })]);
    answer();
    await soon();
    expect(patient.values).toEqual([good]);
  });

  it('a call for which nothing waits any more is forgotten: no timer is left, and its result is ignored', async () => {
    const { source, call, answer } = byHand();
    const waits = source.ask(WITHIN).subscribe();
    waits.unsubscribe();
    expect(jest.getTimerCount()).toBe(0);
    const next = collect(source.ask(WITHIN));
    expect(call).toHaveBeenCalledTimes(2);
    answer({ ...good, password: 'late' });
    await soon();
    expect(next.values).toEqual([]);
    answer();
    await soon();
    expect(next.values).toEqual([good]);
  });
});

const until = (ms: number, password: string): Credentials => ({
  ...good,
  password,
  expiresAt: new Date(Date.now() + ms),
});

describe('for a renewal', () => {
  it('what the last call gave will do, if it is newer and not due itself', async () => {
    const { source, call, answer } = byHand();
    const held = until(1000, 'held');
    collect(source.ask(WITHIN));
    answer(until(3000, 'newer'));
    await soon(1999);
    expect(collect(source.renew(held, WITHIN)).values).toMatchObject([{ password: 'newer' }]);
    expect(call).toHaveBeenCalledTimes(1);
    await soon(1);
    const asked = collect(source.renew(held, WITHIN));
    expect(call).toHaveBeenCalledTimes(2);
    answer(until(3000, 'newest'));
    await soon();
    expect(asked.values).toMatchObject([{ password: 'newest' }]);
  });

  it.each<[string, Credentials | undefined, Credentials]>([
    ['nothing was given before', undefined, until(1000, 'held')],
    ['what was given before does not expire', good, until(1000, 'held')],
    ['what was given before expires no later', until(3000, 'same'), until(3000, 'held')],
    ['what is held does not expire', until(3000, 'other'), good],
  ])('a call is made when %s', async (_when, before, held) => {
    const { source, call, answer } = byHand();
    if (before) {
      collect(source.ask(WITHIN));
      answer(before);
      await soon();
    }
    const calls = call.mock.calls.length;
    const renewed = collect(source.renew(held, WITHIN));
    expect(call).toHaveBeenCalledTimes(calls + 1);
    answer(until(5000, 'next'));
    await soon();
    expect(renewed.values).toMatchObject([{ password: 'next' }]);
  });

  it('a call is made in the place of the last that was given, and of one that does not expire', async () => {
    const { source, call, answer } = byHand();
    const first = collect(source.ask(WITHIN));
    answer(until(3000, 'first'));
    await soon();
    const second = collect(source.renew(first.values[0]!, WITHIN));
    answer();
    await soon();
    const third = collect(source.renew(first.values[0]!, WITHIN));
    answer(until(3000, 'third'));
    await soon();
    expect(call).toHaveBeenCalledTimes(3);
    expect([second.values, third.values]).toMatchObject([[good], [{ password: 'third' }]]);
  });
});
