import { byId } from './elements.js';

const announcer = byId('announcer');
let waiting = [];

/** Announces to screen readers; what comes within 300 ms is announced together. */
export function announce(text) {
  waiting.push(text);
  if (waiting.length > 1) return;
  setTimeout(() => {
    announcer.textContent = waiting.join(' ');
    waiting = [];
  }, 300);
}
