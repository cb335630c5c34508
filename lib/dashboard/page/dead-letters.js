import { byId, make, setText } from './elements.js';
import { clock, count } from './format.js';

const section = byId('dead-letters');
const button = byId('dead-letters-look');

const cells = (tag, texts) =>
  make(
    'tr',
    {},
    texts.map((text) => make(tag, { text })),
  );

function table(groups) {
  const rows = groups.map(({ count: letters, queue, reason, error, newest }) =>
    cells('td', [
      count(letters),
      queue ?? '–',
      reason,
      error ? `${error.name}: ${error.message}` : '–',
      newest ? clock(new Date(newest)) : '–',
    ]),
  );
  const head = make('thead', {}, [cells('th', ['Letters', 'Failed in', 'Reason', 'Error', 'Newest'])]);
  return make('table', { className: 'letters' }, [head, make('tbody', {}, rows)]);
}

function shown({ name, error, found, read, others, groups }) {
  const heading = make('h3', { className: 'minor', text: name });
  if (error !== undefined) return [heading, make('p', { className: 'empty', text: error })];
  const of = read < found ? `the oldest ${count(read)} of ${count(found)}` : count(found);
  const more = others > 0 ? `, ${count(others)} in further groups` : '';
  const total = make('p', { className: 'empty', text: found === 0 ? 'No letters.' : `Letters: ${of}${more}` });
  return groups.length === 0 ? [heading, total] : [heading, total, table(groups)];
}

async function look() {
  button.disabled = true;
  try {
    const response = await fetch('dead-letters');
    if (!response.ok) throw new Error(await response.text());
    byId('dead-letters-found').replaceChildren(...(await response.json()).flatMap(shown));
    setText(byId('dead-letters-when'), `looked at ${clock(Date.now())}`);
  } catch {
    setText(byId('dead-letters-when'), 'The service does not answer.');
  } finally {
    button.disabled = false;
  }
}

/** A look makes the broker deliver the letters, so it waits until someone asks for it. */
export function offerDeadLetters() {
  if (!section.hidden) button.addEventListener('click', () => void look());
}
