import { byId, make, setText } from './elements.js';
import { duration } from './format.js';
import { tell, wordOf } from './phases.js';
import { hideTip, showTip } from './tip.js';

/** The bar of one connection: a button for each span. One of them is in the tab order; arrow keys move to the others. */
export class Timeline {
  #track;
  #now;
  #role;
  #spans = [];
  #bars = new Map();

  constructor(role) {
    this.#role = role;
    this.#track = byId(`track-${role}`);
    this.#now = byId(`now-${role}`);
    this.#track.addEventListener('keydown', (event) => this.#walk(event));
  }

  get spans() {
    return this.#spans;
  }

  /** Replaces all spans. */
  reset(spans) {
    this.#spans = spans;
    this.#track.replaceChildren();
    this.#bars.clear();
  }

  /** Updates or adds spans. */
  update(changed) {
    const ids = new Set(changed.map(({ id }) => id));
    this.#spans = [...this.#spans.filter(({ id }) => !ids.has(id)), ...changed];
  }

  draw(now, window) {
    const begin = now - window;
    this.#spans = this.#spans.filter(({ to = now }) => to > begin);
    for (const span of this.#spans) {
      const from = Math.max(span.from, begin);
      const share = ((span.to ?? now) - from) / window;
      const bar = this.#barOf(span);
      bar.style.left = `${((from - begin) / window) * 100}%`;
      bar.style.width = `${share * 100}%`;
      bar.dataset.phase = span.name;
      label(bar, span.name === 'up' ? `epoch ${span.epoch}` : wordOf(span));
      const sentence = tell(span, now);
      if (bar.getAttribute('aria-label') !== sentence) bar.setAttribute('aria-label', sentence);
    }
    this.#dropOthers();
    const last = this.#spans.at(-1);
    if (!last) return;
    const epoch = last.epoch === undefined ? '' : `epoch ${last.epoch}, `;
    setText(this.#now, `${wordOf(last)}, ${epoch}${duration(Math.floor((now - last.from) / 1000) * 1000)}`);
  }

  #barOf(span) {
    const known = this.#bars.get(span.id);
    if (known) return known;
    const bar = make('button', { className: 'span', attributes: { type: 'button', tabindex: '-1' } });
    const show = () =>
      showTip(bar, `${this.#role === 'producer' ? 'Producer' : 'Consumer'}: ${bar.getAttribute('aria-label')}`);
    bar.addEventListener('pointerenter', show);
    bar.addEventListener('focus', show);
    bar.addEventListener('pointerleave', hideTip);
    bar.addEventListener('blur', hideTip);
    this.#bars.set(span.id, bar);
    this.#track.append(bar);
    return bar;
  }

  #dropOthers() {
    const ids = new Set(this.#spans.map(({ id }) => id));
    for (const [id, bar] of this.#bars) {
      if (ids.has(id)) continue;
      bar.remove();
      this.#bars.delete(id);
    }
    const inOrder = this.#track.querySelector('[tabindex="0"]');
    if (!inOrder) this.#track.lastElementChild?.setAttribute('tabindex', '0');
  }

  #walk(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    const bars = [...this.#track.children];
    const at = bars.indexOf(document.activeElement);
    if (step === undefined || at === -1) return;
    event.preventDefault();
    const next = bars[Math.min(bars.length - 1, Math.max(0, at + step))];
    bars[at].setAttribute('tabindex', '-1');
    next.setAttribute('tabindex', '0');
    next.focus();
  }
}

/** A label that does not fit is left out as a whole. The tip shows it. */
function label(bar, text) {
  setText(bar, text);
  bar.classList.toggle('slim', false);
  if (bar.scrollWidth <= bar.clientWidth) return;
  setText(bar, '');
  bar.classList.toggle('slim', true);
}
