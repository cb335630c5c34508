import { byId } from './elements.js';

const tip = byId('tip');

/** Shows a text under a bar. For screen readers, the label of the bar has the same text. */
export function showTip(bar, text) {
  tip.textContent = text;
  tip.hidden = false;
  const room = tip.parentElement.getBoundingClientRect();
  const place = bar.getBoundingClientRect();
  const wished = place.left + place.width / 2 - tip.offsetWidth / 2 - room.left;
  tip.style.left = `${Math.max(0, Math.min(wished, room.width - tip.offsetWidth))}px`;
  tip.style.top = `${place.bottom - room.top + 6}px`;
}

export function hideTip() {
  tip.hidden = true;
}
