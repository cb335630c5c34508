/** Waiting for a state, with a limit: no test sleeps. */
import { filter, firstValueFrom, timeout, type Observable } from 'rxjs';

/** The first value that fits; rejects after `limit` ms with what was waited for. */
export function until<T>(values$: Observable<T>, fits: (value: T) => boolean, limit = 30_000): Promise<T> {
  let last: T | undefined;
  return firstValueFrom(
    values$.pipe(
      filter((value) => {
        last = value;
        return fits(value);
      }),
      timeout({
        first: limit,
        with: () => {
          throw new Error(`Not seen within ${String(limit)} ms; the last value was ${JSON.stringify(last)}`);
        },
      }),
    ),
  );
}

/** Asks again and again until it is true (or returns something); rejects after `limit` ms, and a few looks more. */
export async function eventually<T>(ask: () => T | Promise<T>, limit = 30_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + limit;
  // Of a process that stood still: its timers are due before it has read what came meanwhile.
  let looks = 3;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline && looks-- === 0)
      throw new Error(`Not so within ${String(limit)} ms: ${ask.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** What a promise that has to reject rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('Expected a rejection, but it resolved.');
}
