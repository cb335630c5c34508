import { byId, make, setText } from './elements.js';
import { count } from './format.js';

const FIGURES = [
  ['Sent', ({ sent }) => sent],
  ['Confirmed', ({ confirmed }) => confirmed],
  ['Delivered', ({ delivered }) => delivered],
  ['Acknowledged', ({ acked }) => acked],
  ['In the outbox', ({ outbox }) => outbox.queued + outbox.unconfirmed],
  ['In flight', ({ inFlight }) => inFlight],
];

const figures = FIGURES.map(([label]) => {
  const figure = make('dd', { text: '0', data: { figure: label } });
  byId('figures').append(make('div', { className: 'count' }, [make('dt', { text: label }), figure]));
  return figure;
});

export function showFigures(metrics) {
  FIGURES.forEach(([, read], i) => setText(figures[i], count(read(metrics))));
}
