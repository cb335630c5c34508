import { byId, make } from '/elements.js';

const COUNTS = ['sent', 'confirmed', 'received', 'on-the-way', 'duplicates', 'lost'];
const wordFor = (name) => `${name[0].toUpperCase()}${name.slice(1).replaceAll('-', ' ')}`;

/** Adds the parts of the panel to the page: exact counts in place of the client's own, a chart of latency, and the faults. */
export function layOut() {
  byId('counts').hidden = true;
  byId('column').prepend(counts());
  byId('charts').append(latency());
  byId('panel').append(faults());
  byId('broker').before(make('p', { className: 'broker', attributes: { id: 'broker-version' } }));
  byId('broker').hidden = true;
}

function counts() {
  const list = make('dl', { className: 'count-list' });
  for (const name of COUNTS) {
    const verdict = name === 'lost' && { attributes: { id: 'verdict' }, data: { good: 'true' } };
    list.append(
      make('div', { className: name === 'lost' ? 'count verdict' : 'count', ...verdict }, [
        make('dt', { text: wordFor(name) }),
        make('dd', { text: '0', attributes: { id: `count-${name}` } }),
      ]),
    );
  }
  return make('section', { className: 'card counts', attributes: { 'aria-labelledby': 'fates-title' } }, [
    make('h2', { className: 'unseen', text: 'What became of the messages', attributes: { id: 'fates-title' } }),
    list,
    make('p', { className: 'count-note', attributes: { id: 'count-note' } }),
  ]);
}

function latency() {
  return make('section', { className: 'card', attributes: { 'aria-labelledby': 'latency-title' } }, [
    make('div', { className: 'card-head stacked' }, [
      make('h2', { text: 'Latency ', attributes: { id: 'latency-title' } }, [
        make('span', { className: 'unit', text: 'send to work, ms' }),
      ]),
      make('ul', { className: 'legend values', attributes: { id: 'latency-legend', 'aria-label': 'Now' } }),
    ]),
    make('div', { className: 'chart', attributes: { id: 'latency-chart', role: 'img', 'aria-label': 'Latency' } }),
  ]);
}

function faults() {
  return make('section', { className: 'card troubles', attributes: { 'aria-labelledby': 'troubles-title' } }, [
    make('h2', { text: 'Inject a fault', attributes: { id: 'troubles-title' } }),
    make('p', {
      className: 'advice',
      text: 'Try “Cut consumer” first: its bar turns red for a moment, and its epoch, the number of its connection, grows by one. Nothing is lost.',
    }),
    make('button', { className: 'run-all', attributes: { id: 'run-all', type: 'button' } }, [
      make('span', { text: 'Run all faults', attributes: { id: 'run-all-title' } }),
      make('span', {
        className: 'trouble-hint',
        text: 'One after the other, about a minute',
        attributes: { id: 'run-all-hint' },
      }),
    ]),
    make('div', { className: 'summary', attributes: { id: 'run-summary', role: 'status' } }),
    make('div', { attributes: { id: 'troubles' } }),
    make('h3', { className: 'trouble-group', text: 'Not a fault' }),
    make(
      'button',
      { className: 'switch', attributes: { id: 'pause', type: 'button', role: 'switch', 'aria-checked': 'false' } },
      [
        make('span', { className: 'trouble-text' }, [
          make('span', { className: 'trouble-title', text: 'Pause the consumer' }),
          make('span', { className: 'trouble-hint', text: 'Messages wait in the queue' }),
        ]),
        make('span', { className: 'switch-track', attributes: { 'aria-hidden': 'true' } }, [
          make('span', { className: 'switch-thumb' }),
        ]),
      ],
    ),
  ]);
}
