/** How delays between attempts grow, and when to stop. Durations in ms. */
export interface BackoffOptions {
  /** Upper bound of the first delay, ms. @default 50 for connections, 100 for channels */
  readonly min?: number;
  /** Upper bound of every delay, ms. @default 30 000 for connections, 10 000 for channels */
  readonly max?: number;
  /** Each delay's bound is this many times the one before; 1 keeps them equal. @default 1.2 */
  readonly factor?: number;
  /** 0 to 1: the share of each delay that is random; 0 makes delays exact, 1 draws from the whole range. @default 1 */
  readonly jitter?: number;
  /** Attempts per outage before giving up; 0 gives up at the first loss, Infinity never. @default Infinity */
  readonly attempts?: number;
  /** Attempts before the first success. @default the value of `attempts` (at least 1) */
  readonly initialAttempts?: number;
  /** ms that a link must have stayed up before delays start over from `min`. @default 10 000 */
  readonly stableAfter?: number;
}

/** `BackoffOptions` with all defaults filled in. */
export type Backoff = Required<BackoffOptions>;

/** Refusals that only a human can resolve are retried with ten times the delay. */
const SLOW = 10;

/**
 * The delay before attempt `attempt` (1-based), ms: `min · factor^(attempt-1)`, capped at `max`, of which the share
 * `jitter` is random. With `slowly`, as if `min` were ten times as large.
 */
export function backoffDelay(
  { min, max, factor, jitter }: Pick<Backoff, 'min' | 'max' | 'factor' | 'jitter'>,
  attempt: number,
  { slowly = false, random = Math.random }: { readonly slowly?: boolean; readonly random?: () => number } = {},
): number {
  const start = slowly ? min * SLOW : min;
  // 0 times an infinite power would be NaN.
  const bound = start === 0 ? 0 : Math.min(max, start * factor ** (Math.max(1, attempt) - 1));
  // After a refusal, half of the delay is fixed: with full jitter some retries would follow at once.
  const share = slowly ? jitter / 2 : jitter;
  return Math.round(bound * (1 - share) + bound * share * random());
}
