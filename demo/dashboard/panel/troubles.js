import { announce } from '/announcer.js';
import { byId, make, setText } from '/elements.js';
import { duration } from '/format.js';
import { order } from './order.js';

const buttons = new Map();
let states = new Map();
let locked = false;

/** Creates the buttons once, then updates them. */
export function showTroubles(all) {
  states = new Map(all.map((state) => [state.id, state]));
  if (buttons.size === 0) makeButtons(all);
  showStates();
}

export function showTrouble(state) {
  states.set(state.id, state);
  showStates();
  if (state.status === 'recovered') announce(`${state.title}: recovered in ${duration(state.recovered)}.`);
  if (state.status === 'failed') announce(`${state.title}: failed. ${state.note}`);
}

/** The progress of faults that last. */
export function showProgress(now) {
  for (const { id, status, since, lasts } of states.values()) {
    if (lasts === undefined) continue;
    const running = status === 'running';
    const { state, progress } = buttons.get(id);
    progress.style.setProperty('--done', running ? String(Math.min(1, (now - since) / lasts)) : '0');
    if (running) setText(state, `${Math.max(0, Math.ceil((since + lasts - now) / 1000))} s left`);
  }
}

export const isRunning = () => [...states.values()].some(({ status }) => status === 'running');

/** During a run of all faults, no other fault can be injected. */
export function lockAll(yes) {
  locked = yes;
  showStates();
}

function makeButtons(all) {
  const groups = Map.groupBy ? Map.groupBy(all, ({ group }) => group) : grouped(all);
  for (const [group, members] of groups) {
    const list = make('ul', { className: 'trouble-list', attributes: { 'aria-label': group } });
    list.append(...members.map((trouble) => make('li', {}, [buttonFor(trouble)])));
    byId('troubles').append(make('h3', { className: 'trouble-group', text: group }), list);
  }
}

function grouped(all) {
  const groups = new Map();
  for (const one of all) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
  return groups;
}

function buttonFor({ id, title, hint }) {
  const state = make('span', { className: 'chip trouble-state' });
  const hintLine = make('span', { className: 'trouble-hint', text: hint });
  const progress = make('span', { className: 'trouble-progress', attributes: { 'aria-hidden': 'true' } });
  const text = make('span', { className: 'trouble-text' }, [
    make('span', { className: 'trouble-title', text: title }),
    hintLine,
  ]);
  const button = make('button', { className: 'trouble', data: { trouble: id }, attributes: { type: 'button' } }, [
    text,
    state,
    progress,
  ]);
  button.addEventListener('click', () => {
    // A disabled button stays in the tab order, so that the focus is not lost.
    if (button.getAttribute('aria-disabled') !== 'true') void order(`/troubles/${id}`);
  });
  buttons.set(id, { button, state, progress, hintLine });
  return button;
}

const isUnderWay = ({ status }) => status === 'running' || status === 'recovering';

function showStates() {
  if (buttons.size === 0) return;
  const all = [...states.values()];
  for (const state of all) {
    const { button, state: chip, hintLine, progress } = buttons.get(state.id);
    const rival = all.find((other) => other !== state && isUnderWay(other));
    const unavailable = isUnderWay(state) || rival !== undefined || locked || state.unavailable !== undefined;
    button.setAttribute('aria-disabled', String(unavailable));
    button.dataset.status = state.status;
    if (state.status !== 'running') progress.style.setProperty('--done', '0');
    const [text, tone] = wordsFor(state);
    setText(chip, text);
    chip.dataset.tone = tone;
    chip.hidden = text === '';
    setText(
      hintLine,
      state.unavailable ?? (rival ? `Locked while “${rival.title}” is timed` : (state.note ?? state.hint)),
    );
  }
}

function wordsFor({ status, recovered, lasts }) {
  switch (status) {
    case 'running':
      return [lasts === undefined ? 'running' : `${Math.ceil(lasts / 1000)} s left`, 'warn'];
    case 'recovering':
      return ['recovering', 'warn'];
    case 'recovered':
      return [`back in ${duration(recovered)}`, 'good'];
    case 'failed':
      return ['failed', 'bad'];
    default:
      return ['', ''];
  }
}
