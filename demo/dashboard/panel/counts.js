import { byId, setText } from '/elements.js';
import { count } from '/format.js';

const NAMES = ['sent', 'confirmed', 'received', 'onTheWay', 'duplicates', 'lost'];
const kebab = (name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export function showCounts(balance) {
  for (const name of NAMES) setText(byId(`count-${kebab(name)}`), count(balance[name]));
  byId('verdict').dataset.good = String(balance.lost === 0);
  setText(byId('count-note'), noteOn(balance));
}

function noteOn({ lost, sunk, failed, open, onTheWay }) {
  const waiting = onTheWay > 0 ? ' or is on its way' : '';
  const gone = sunk > 0 ? `, but for ${count(sunk)} that went with a deleted queue` : '';
  const parts = [
    lost > 0
      ? `Confirmed, and should have arrived: ${count(lost)}.`
      : `Nothing is lost: every confirmed message has arrived${waiting}${gone}.`,
  ];
  if (open > 0) parts.push(`Not yet confirmed: ${count(open)}.`);
  if (failed > 0) parts.push(`Never confirmed: ${count(failed)}.`);
  return parts.join(' ');
}
