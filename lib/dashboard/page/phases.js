import { byId, make } from './elements.js';
import { duration } from './format.js';

/** What the phases are called, and how serious they are. Each has a colour and a pattern of its own (phases.css). */
const PHASES = {
  up: ['Up', 'good'],
  connecting: ['Connecting', ''],
  reconnecting: ['Reconnecting', 'bad'],
  opening: ['Opening', 'warn'],
  attaching: ['Attaching', 'warn'],
  blocked: ['Blocked', 'warn'],
  paused: ['Paused', 'calm'],
  closing: ['Closing', ''],
  closed: ['Closed', 'bad'],
  idle: ['Not used', ''],
};

export const wordOf = ({ name }) => PHASES[name][0];
export const toneOf = ({ name }) => PHASES[name][1];

export function showLegend() {
  byId('legend').replaceChildren(
    ...Object.entries(PHASES).map(([phase, [word]]) =>
      make('li', {}, [make('span', { className: 'swatch', data: { phase } }), make('span', { text: word })]),
    ),
  );
}

/** "Reconnecting for 53 ms, 2 attempts. Lost the connection …" */
export function tell(span, now) {
  const { name, epoch, attempt, cause, from, to } = span;
  const parts = [`${wordOf(span)} for ${duration((to ?? now) - from)}`];
  if (epoch !== undefined) parts.push(`epoch ${epoch}`);
  if (name === 'reconnecting' && attempt !== undefined) parts.push(attempt === 1 ? '1 attempt' : `${attempt} attempts`);
  return `${parts.join(', ')}.${cause ? ` ${cause}` : ''}`;
}
