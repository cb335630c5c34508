import { duration } from './format.js';

/** What the phases are called, and how serious they are. */
const PHASES = {
  idle: ['Not asked for', ''],
  connecting: ['Connecting', ''],
  up: ['Up', 'good'],
  blocked: ['Blocked', 'warn'],
  paused: ['Paused', 'calm'],
  attaching: ['Attaching', 'warn'],
  opening: ['Opening', 'warn'],
  reconnecting: ['Reconnecting', 'bad'],
  closing: ['Closing', ''],
  closed: ['Closed', 'bad'],
};

export const wordOf = ({ name }) => PHASES[name][0];
export const toneOf = ({ name }) => PHASES[name][1];

/** "Reconnecting for 53 ms, 2 attempts, behind epoch 3. Because …" */
export function tell(span, now) {
  const { name, epoch, attempt, cause, from, to } = span;
  const parts = [`${wordOf(span)} for ${duration((to ?? now) - from)}`];
  if (epoch !== undefined) parts.push(`epoch ${epoch}`);
  if (name === 'reconnecting' && attempt !== undefined) parts.push(attempt === 1 ? '1 attempt' : `${attempt} attempts`);
  return `${parts.join(', ')}.${cause ? ` ${cause}` : ''}`;
}
