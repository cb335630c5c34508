import { announce } from './announcer.js';
import { byId, make } from './elements.js';
import { clock, duration } from './format.js';
import { outagesOf } from './outages.js';
import { toneOf, wordOf } from './phases.js';

/** The number of outages kept. */
const MOST = 40;
const ROLES = { producer: 'Producer', consumer: 'Consumer' };

const list = byId('happenings');
/** The lines by role and outage, with the data that they show. */
const lines = new Map();

/** The list under the timelines: each outage or pause of a connection, its cause and duration, and the new epoch. */
export function showHappenings(role, spans, aloud) {
  for (const outage of outagesOf(spans)) {
    const key = `${role} ${outage.id}`;
    const known = lines.get(key);
    // Its span may be too old to be still present.
    outage.before ??= known?.before;
    const said = JSON.stringify(outage);
    if (known?.said === said) continue;
    const line = lineOf(role, outage);
    if (known) known.line.replaceWith(line);
    else insert(line, outage.from);
    lines.set(key, { line, said, before: outage.before });
    if (aloud && known?.line.dataset.outage !== line.dataset.outage)
      announce(`${ROLES[role]}: ${wordOf(outage.worst)}.`);
    if (aloud && outage.to !== undefined)
      announce(`${ROLES[role]}: up again after ${duration(outage.to - outage.from)}, epoch ${outage.after}.`);
  }
  while (list.children.length > MOST) list.lastElementChild.remove();
  list.hidden = list.children.length === 0;
  byId('happenings-none').hidden = !list.hidden;
}

export function forgetHappenings() {
  lines.clear();
  list.replaceChildren();
}

/** Keeps the newest first, across both timelines. */
function insert(line, from) {
  line.dataset.from = String(from);
  const older = [...list.children].find((other) => Number(other.dataset.from) <= from);
  list.insertBefore(line, older ?? null);
}

function lineOf(role, { from, to, before, after, worst, cause, attempts }) {
  const why = [...(cause ? [cause] : []), ...(attempts > 1 ? [`attempt ${attempts}`] : [])];
  const epochs = after === undefined || after === before ? `epoch ${before ?? '–'}` : `epoch ${before} → ${after}`;
  const line = make('li', { className: 'happening', data: { from: String(from), outage: worst.name } }, [
    make('time', { text: clock(from) }),
    make('span', { text: ROLES[role] }),
    make('span', { className: 'chip', text: wordOf(worst), data: { tone: toneOf(worst) } }),
    make('span', { className: 'took', text: to === undefined ? 'going on' : duration(to - from) }),
    make('span', { className: 'epochs', text: epochs }),
    make('span', { className: 'cause', text: why.join(' · ') }),
  ]);
  return line;
}
