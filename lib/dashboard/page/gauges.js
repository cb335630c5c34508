import { byId, make, setText } from './elements.js';
import { bytes, count } from './format.js';

const GAUGES = [
  ['In flight', ({ inFlight }) => count(inFlight)],
  ['Outbox, queued', ({ outbox }) => count(outbox.queued)],
  ['Unconfirmed', ({ outbox }) => count(outbox.unconfirmed)],
  ['Outbox size', ({ outbox }) => bytes(outbox.bytes)],
  ['Resent', ({ resent }) => count(resent)],
  ['Redelivered', ({ redelivered }) => count(redelivered)],
  ['Lost deliveries', ({ lost }) => count(lost)],
  ['Undecodable', ({ undecodable }) => count(undecodable)],
  ['Nacked', ({ nacked }) => count(nacked)],
  ['Timed out', ({ timedOut }) => count(timedOut)],
  ['Reconnects', ({ reconnects }) => count(reconnects)],
  ['Reopens', ({ reopens }) => count(reopens)],
];

const figures = GAUGES.map(([label]) => {
  const figure = make('dd', { text: '0', data: { gauge: label } });
  byId('gauges').append(make('div', { className: 'gauge' }, [make('dt', { text: label }), figure]));
  return figure;
});

export function showGauges(metrics) {
  GAUGES.forEach(([, read], i) => setText(figures[i], read(metrics)));
}
