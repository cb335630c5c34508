import { concat, NEVER, of, throwError } from 'rxjs';
import { closingBehind } from '../../../lib/consumer/closing-behind';
import { collect } from '../../support/collect';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A scan that closes when a test says so. */
function scanned() {
  let closed = (): void => undefined;
  const closing = new Promise<void>((resolve) => (closed = resolve));
  const close = jest.fn(() => closing);
  return { scan: { close }, close, closed };
}

describe('what is read from a scan', () => {
  it('completes behind the close of the scan', async () => {
    const { scan, close, closed } = scanned();
    const read = collect(closingBehind(of(1, 2), scan));
    await turn();
    expect([read.values, read.completed, close.mock.calls.length]).toEqual([[1, 2], false, 1]);
    closed();
    await turn();
    expect(read).toMatchObject({ completed: true, error: undefined });
  });

  it.each([
    ['an error', new RangeError('no'), 'no'],
    ['what is no error', 'no', 'no'],
  ])('errors behind the close of the scan, with %s', async (_what, thrown, message) => {
    const { scan, closed } = scanned();
    const read = collect(
      closingBehind(
        concat(
          of(1),
          throwError(() => thrown),
        ),
        scan,
      ),
    );
    await turn();
    expect([read.values, read.error]).toEqual([[1], undefined]);
    closed();
    await turn();
    expect(read.error).toBeInstanceOf(Error);
    expect((read.error as Error).message).toContain(message);
    if (thrown instanceof Error) expect(read.error).toBe(thrown);
  });

  it('that is left closes the scan, and nothing before', () => {
    const { scan, close } = scanned();
    const { subscription } = collect(closingBehind(NEVER, scan));
    expect(close).not.toHaveBeenCalled();
    subscription.unsubscribe();
    expect(close).toHaveBeenCalledTimes(1);
  });
});
