import { byId, make } from './elements.js';
import { clock } from './format.js';

const MOST = 200;
const list = byId('log');

export function showLog(lines) {
  list.replaceChildren(...[...lines].reverse().map(elementFor));
}

/** A repeated line replaces its earlier version. */
export function addLine(line) {
  const same = list.querySelector(`[data-id="${line.id}"]`);
  if (same) {
    same.replaceWith(elementFor(line));
    return;
  }
  // Keeps the scroll position of a reader who has scrolled down.
  const { scrollTop, scrollHeight } = list;
  list.prepend(elementFor(line));
  if (scrollTop > 0) list.scrollTop = scrollTop + list.scrollHeight - scrollHeight;
  while (list.children.length > MOST) list.lastElementChild.remove();
}

function elementFor({ id, at, level, message, facts, count }) {
  return make('li', { className: 'log-line', data: { id, level } }, [
    make('time', { text: clock(at) }),
    make('span', { className: 'log-level', text: level }),
    make('span', { className: 'log-text' }, [
      make('span', { text: message }),
      ...(count > 1 ? [make('b', { className: 'log-count', text: ` ×${count}` })] : []),
      ...(facts ? [make('span', { className: 'log-facts', text: ` ${facts}` })] : []),
    ]),
  ]);
}
