import { byId } from './elements.js';

const announcer = byId('announcer');
let waiting = [];

/** Announces to screen readers; announcements within 300 ms are joined. */
export function announce(text) {
  waiting.push(text);
  if (waiting.length > 1) return;
  setTimeout(() => {
    announcer.textContent = waiting.join(' ');
    waiting = [];
  }, 300);
}
