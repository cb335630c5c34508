import { announce } from './announcer.js';
import { byId, make, setText } from './elements.js';

const WORDS = { up: 'Up', degraded: 'Degraded', down: 'Down' };
const TONES = { attached: 'good', paused: 'calm', detached: 'warn', draining: 'warn', stopped: 'bad' };

let before;
let known = 'Not connected so far';

export function showHealth({ status, connections, consumers }) {
  const pill = byId('health');
  pill.dataset.status = status;
  setText(byId('health-word'), WORDS[status]);
  setText(byId('health-why'), whyOf(status, connections, consumers));
  if (before !== undefined && before !== status) announce(`Health: ${WORDS[status]}.`);
  before = status;
  setText(byId('broker'), brokersOf(connections));
  byId('consumers-none').hidden = consumers.length > 0;
  byId('consumers').replaceChildren(...consumers.map(consumerLine));
}

/** The service is closed or does not answer. */
export function showNoHealth(word, why) {
  byId('health').dataset.status = 'waiting';
  setText(byId('health-word'), word);
  setText(byId('health-why'), why);
}

/** The endpoints of the connections; while they are down, the last ones. */
function brokersOf({ producer, consumer }) {
  const endpoints = [...new Set([producer, consumer].flatMap(({ endpoint }) => endpoint ?? []))];
  if (endpoints.length > 0) known = `Connected to ${endpoints.join(' and ')}`;
  return known;
}

function whyOf(status, { producer, consumer }, consumers) {
  const away = ['producer', 'consumer'].filter((_, i) => [producer, consumer][i].status !== 'connected');
  if (away.length === 2 && [producer, consumer].every(({ status }) => status === 'disconnected'))
    return 'not used so far';
  if (away.length === 2) return 'both connections away';
  if (away.length === 1 && { producer, consumer }[away[0]].status !== 'disconnected')
    return `${away[0]} ${{ producer, consumer }[away[0]].status}`;
  if (consumers.some((one) => one.status === 'paused')) return 'consumer paused on purpose';
  if (consumers.some((one) => one.status !== 'attached')) return 'consumer not attached';
  return status === 'up' ? 'connected, attached, confirming' : 'the producer cannot confirm';
}

function consumerLine({ queue, status, tag, epoch }) {
  return make('li', {}, [
    make('span', { className: 'chip', text: status, data: { tone: TONES[status] ?? '' } }),
    make('span', { text: epoch === undefined ? queue : `${queue}, epoch ${epoch}` }),
    ...(tag ? [make('span', { className: 'tag', text: tag })] : []),
  ]);
}
