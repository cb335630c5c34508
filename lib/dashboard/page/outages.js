import { toneOf } from './phases.js';

const QUIET = new Set(['idle', 'connecting', 'closing']);
/** The order of severity. A consumer attaches after each pause; that belongs to the pause. */
const SERIOUS = ['bad', 'calm', 'warn', ''];

/**
 * The spans in which a connection could not be used. Adjacent ones are joined: a lost link, a channel that opens and a consumer
 * that attaches are one outage.
 */
export function outagesOf(spans) {
  const outages = [];
  let before;
  let current;
  for (const span of spans) {
    if (QUIET.has(span.name)) continue;
    if (span.name === 'up') {
      if (current) Object.assign(current, { to: span.from, after: span.epoch });
      before = span.epoch;
      current = undefined;
      continue;
    }
    // The time before the first connection is no outage.
    if (before === undefined && span.name !== 'reconnecting' && span.epoch === 1) continue;
    if (current) join(current, span);
    else {
      current = {
        id: span.id,
        from: span.from,
        before: before ?? span.epoch,
        worst: span,
        cause: span.cause,
        attempts: span.attempt,
      };
      outages.push(current);
    }
  }
  return outages;
}

function join(outage, span) {
  if (SERIOUS.indexOf(toneOf(span)) < SERIOUS.indexOf(toneOf(outage.worst))) outage.worst = span;
  outage.cause ??= span.cause;
  outage.attempts ??= span.attempt;
  if (span.name === 'reconnecting') outage.attempts = span.attempt;
}
