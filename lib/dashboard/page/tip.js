import { byId } from './elements.js';

const tip = byId('tip');

/** Says it under a bar; the bar's own label says the same to those who do not see it. */
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
