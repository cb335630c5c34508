import { intervalOf } from '../../lib/interval';

const HOUR = 3_600_000;

describe('an interval', () => {
  it.each([
    ['5s', 5000],
    ['5m', 300_000],
    ['2h', 2 * HOUR],
    ['7D', 7 * 24 * HOUR],
    ['1M', 30 * 24 * HOUR],
    ['10Y', 3650 * 24 * HOUR],
  ])('%s is %i ms', (text, ms) => {
    expect(intervalOf(text)).toBe(ms);
  });

  it.each(['', 'D', '0D', '-1D', '1.5h', '7d', '7W', '7 D', '7D ', '07D', '7DD', '1234567890s', 7, undefined])(
    'is not %p',
    (value) => {
      expect(intervalOf(value)).toBeUndefined();
    },
  );
});
