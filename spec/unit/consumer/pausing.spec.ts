import { pauseFailed, pauses } from '../../../lib/consumer/consume-options';
import { OptionsError } from '../../../lib/errors';
import { marbles } from '../../support/marbles';

const values = { t: true, f: false };

describe('what pauses a consumer', () => {
  it(
    'is told each change once, and ends as it does',
    marbles(({ cold, expectObservable }) => {
      expectObservable(pauses(cold('t-tf-f-t|', values))).toBe('t--f---t|', values);
      expectObservable(pauses(cold('f--#', values, 'broken'))).toBe('f--#', values, 'broken');
    }),
  );

  it(
    'may be anything that RxJS takes for a stream, and is refused when it says neither true nor false',
    marbles(({ expectObservable }) => {
      expectObservable(pauses([true, true, false])).toBe('(tf|)', values);
      const options: boolean[] = JSON.parse('[true, "no"]') as boolean[];
      const sentence = 'Expected `pause` to be an Observable of true and false, got `no` (string).';
      expectObservable(pauses(options)).toBe('(t#)', values, new OptionsError('pause', sentence));
    }),
  );

  it('that fails is the cause of the end of its consumer, whatever it failed with', () => {
    const cause = { reason: 'none' };
    const error = pauseFailed('orders', cause);
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID', option: 'pause', cause });
    expect(error.message).toContain('queue `orders`');
    expect(pauseFailed('orders', error)).toBe(error);
  });
});
