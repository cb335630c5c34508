import { byId } from './elements.js';

const announcer = byId('announcer');
let waiting = [];

/** Says it to those who listen to the page; what comes at once is said together. */
export function announce(text) {
  waiting.push(text);
  if (waiting.length > 1) return;
  setTimeout(() => {
    announcer.textContent = waiting.join(' ');
    waiting = [];
  }, 300);
}
