import { announce } from '/announcer.js';
import { byId, make, setText } from '/elements.js';
import { duration } from '/format.js';
import { lockAll } from './troubles.js';

let before = 'idle';

/** The run of all faults: its progress, then the recovery time of each. */
export function showRun({ status, total, rows }) {
  const running = status === 'running';
  lockAll(running);
  byId('run-all').setAttribute('aria-disabled', String(running));
  setText(byId('run-all-title'), running ? `Fault ${Math.min(total, rows.length + 1)} of ${total}` : 'Run all faults');
  const summary = byId('run-summary');
  summary.replaceChildren(...(status === 'idle' ? [] : [table(rows)]));
  if (status === 'done') summary.prepend(make('p', { className: 'summary-line', text: sentence(rows, total) }));
  if (status === 'done' && before === 'running') announce(sentence(rows, total));
  before = status;
}

function sentence(rows, total) {
  const recovered = rows.filter(({ recovered }) => recovered !== undefined);
  if (recovered.length === 0) return 'The run was ended before anything recovered.';
  const slowest = recovered.reduce((a, b) => (b.recovered > a.recovered ? b : a));
  return `${recovered.length} of ${total} recovered; the slowest was “${slowest.title}” with ${duration(slowest.recovered)}.`;
}

function table(rows) {
  return make(
    'dl',
    { className: 'summary-rows' },
    rows.map(({ title, recovered }) =>
      make('div', {}, [
        make('dt', { text: title }),
        make('dd', { text: recovered === undefined ? 'not recovered' : duration(recovered) }),
      ]),
    ),
  );
}
