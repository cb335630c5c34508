const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const count = (n) => WHOLE.format(n);
export const clock = (ms) => CLOCK.format(ms);

/** 53 ms, 1.24 s, 2 min 5 s. */
export function duration(ms) {
  if (ms < 1000) return `${WHOLE.format(ms)} ms`;
  if (ms < 60_000) return `${SHORT.format(ms / 1000)} s`;
  return `${WHOLE.format(Math.floor(ms / 60_000))} min ${WHOLE.format((ms % 60_000) / 1000)} s`;
}

export function bytes(n) {
  if (n < 1024) return `${WHOLE.format(n)} B`;
  return n < 1024 * 1024 ? `${SHORT.format(n / 1024)} KiB` : `${SHORT.format(n / 1024 / 1024)} MiB`;
}

/** A number, or a dash if there is none. */
export const figure = (n) => (n === null || n === undefined ? '–' : n < 10 ? SHORT.format(n) : WHOLE.format(n));
