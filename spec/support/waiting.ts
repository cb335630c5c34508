/** Tests wait for a state, with a limit; they never sleep. */
import { filter, firstValueFrom, timeout, type Observable } from 'rxjs';

/** The first value that fits; rejects after `limit` ms with the last value seen. */
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

/** Calls `ask` every 10 ms until it gives neither false, null nor undefined, and gives that; rejects after `limit` ms. */
export async function eventually<T>(ask: () => T | Promise<T>, limit = 30_000): Promise<NonNullable<T>> {
  const deadline = performance.now() + limit;
  // After the process was stalled, its timers fire before it has read what has arrived: look a few times more.
  let looks = 3;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== null && answer !== false) return answer;
    if (performance.now() > deadline && looks-- === 0)
      throw new Error(`Not true within ${String(limit)} ms: ${ask.toString()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

/** What a promise rejects with; rejects itself if the promise resolves. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('Expected a rejection, but it resolved.');
}
