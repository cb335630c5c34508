import { byId, make } from './elements.js';
import { clock } from './format.js';

const MOST = 200;
const list = byId('log');

export function showLog(lines) {
  list.replaceChildren(...[...lines].reverse().map(elementFor));
}

export function addLine(line) {
  // Who reads further down goes on reading the same lines.
  const { scrollTop, scrollHeight } = list;
  list.prepend(elementFor(line));
  if (scrollTop > 0) list.scrollTop = scrollTop + list.scrollHeight - scrollHeight;
  while (list.children.length > MOST) list.lastElementChild.remove();
}

function elementFor({ at, level, message, facts }) {
  return make('li', { className: 'log-line', data: { level } }, [
    make('time', { text: clock(at) }),
    make('span', { className: 'log-level', text: level }),
    make('span', { className: 'log-text' }, [
      make('span', { text: message }),
      ...(facts ? [make('span', { className: 'log-facts', text: ` ${facts}` })] : []),
    ]),
  ]);
}
