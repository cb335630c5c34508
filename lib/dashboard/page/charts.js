/* global uPlot -- a classic script, loaded before this one */
import { byId, make, setText } from './elements.js';
import { figure } from './format.js';

const HEIGHT = 190;
const SECONDS = { ticks: [-120, -90, -60, -30, 0], names: ['2 min', '90 s', '60 s', '30 s', 'now'] };
const DECADES = [0, 1, 10, 100, 1000, 10_000, 100_000];

/**
 * Scales of a value axis. `linear` ends at twice the 90th percentile: a higher peak is cut off and shown in the legend, so that
 * it does not flatten the rest. `decades` is logarithmic with a zero.
 */
const SCALES = {
  linear: {
    top: (values) => {
      const usual = values[Math.floor(values.length * 0.9)] ?? 0;
      const most = values.at(-1) ?? 0;
      return Math.max(10, most > 2 * usual && usual > 0 ? usual * 1.5 : most * 1.15);
    },
  },
  decades: {
    scale: { distr: 4, asinh: 1 },
    splits: () => DECADES,
    top: (values) => 10 ** Math.max(1, Math.ceil(Math.log10((values.at(-1) ?? 0) + 1))),
  },
};

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A chart of the last minutes, newest on the right. `series`: key of the points, label, and style of the line. */
export class Chart {
  #name;
  #title;
  #unit;
  #series;
  #kind;
  #box;
  #values = new Map();
  #plot;
  #top = 10;

  constructor({ name, title, unit, kind, series }) {
    this.#name = name;
    this.#title = title;
    this.#unit = unit;
    this.#series = series;
    this.#kind = SCALES[kind];
    this.#box = byId(`${name}-chart`);
    this.#makeLegend();
    this.#build([[], ...series.map(() => [])]);
    new ResizeObserver(() => this.#plot.setSize({ width: this.#box.clientWidth, height: HEIGHT })).observe(this.#box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#build(this.#plot.data));
  }

  draw(points, now, window) {
    const seconds = points.map(({ at }) => (at - now) / 1000);
    const columns = this.#series.map(({ key }) => points.map((point) => point[key]));
    const values = columns
      .flat()
      .filter((value) => value !== null)
      .sort((a, b) => a - b);
    this.#top = this.#kind.top(values);
    this.#plot.setData([seconds, ...columns], false);
    this.#plot.setScale('x', { min: -window / 1000, max: 0 });
    this.#plot.setScale('y', { min: 0, max: this.#top });
    const last = points.at(-1);
    this.#series.forEach(({ key }, i) => {
      const peak = Math.max(0, ...columns[i]);
      const { value, note } = this.#values.get(key);
      setText(value, figure(last?.[key]));
      setText(note, peak > this.#top ? `peak ${figure(peak)}` : '');
    });
  }

  /** The chart in a sentence. */
  describe(points) {
    const parts = this.#series.map(({ key, label }) => {
      const values = points.map((point) => point[key]).filter((value) => value !== null);
      if (values.length === 0) return `${label}: nothing yet`;
      const [least, most] = [Math.min(...values), Math.max(...values)];
      return `${label}: ${figure(points.at(-1)[key])} now, between ${figure(least)} and ${figure(most)}`;
    });
    this.#box.setAttribute('aria-label', `${this.#title} in the last two minutes, ${this.#unit}. ${parts.join('. ')}.`);
  }

  #build(data) {
    this.#plot?.destroy();
    const grid = { stroke: colour('line'), width: 1 };
    const axis = { stroke: colour('muted'), font: '12px Inter, system-ui, sans-serif', grid, ticks: { show: false } };
    const { scale, splits } = this.#kind;
    this.#plot = new uPlot(
      {
        width: this.#box.clientWidth,
        height: HEIGHT,
        padding: [8, 14, 0, 0],
        cursor: { show: false },
        select: { show: false },
        scales: { x: { time: false }, y: { ...scale, range: () => [0, this.#top] } },
        axes: [
          { ...axis, size: 28, gap: 8, splits: () => SECONDS.ticks, values: () => SECONDS.names },
          {
            ...axis,
            size: 46,
            gap: 6,
            ...(splits && { splits }),
            values: (_, ticks) => ticks.map((value) => (value >= 1000 ? `${value / 1000}k` : value)),
          },
        ],
        series: [
          {},
          ...this.#series.map(({ key, label, dash, width, filled }) => ({
            label,
            stroke: colour(key),
            width,
            dash,
            ...(filled && { fill: `color-mix(in srgb, ${colour(key)} 14%, transparent)` }),
            points: { show: false },
            spanGaps: false,
          })),
        ],
      },
      data,
      this.#box,
    );
  }

  #makeLegend() {
    for (const { key, label, dash } of this.#series) {
      const line = make('span', { className: 'line-sample', attributes: { 'aria-hidden': 'true' } });
      line.style.color = `var(--${key})`;
      line.style.borderTopStyle = dash.length === 0 ? 'solid' : 'dashed';
      const value = make('b', { text: '–' });
      const note = make('span', { className: 'peak' });
      this.#values.set(key, { value, note });
      byId(`${this.#name}-legend`).append(make('li', {}, [line, make('span', { text: label }), value, note]));
    }
  }
}

export const RATE_CHARTS = [
  new Chart({
    name: 'rate',
    title: 'Message rate',
    unit: 'messages per second',
    kind: 'linear',
    series: [
      { key: 'sent', label: 'Sent', dash: [], width: 1, filled: true },
      { key: 'confirmed', label: 'Confirmed', dash: [], width: 2 },
      { key: 'delivered', label: 'Delivered', dash: [5, 4], width: 2 },
    ],
  }),
  new Chart({
    name: 'backlog',
    title: 'Messages that wait',
    unit: 'messages',
    kind: 'decades',
    series: [
      { key: 'queued', label: 'In the outbox', dash: [], width: 2, filled: true },
      { key: 'inFlight', label: 'In flight', dash: [5, 4], width: 2 },
    ],
  }),
];

export function drawCharts(charts, points, now, window) {
  for (const chart of charts) chart.draw(points, now, window);
}

/** For screen readers. */
export function describeCharts(charts, points) {
  for (const chart of charts) chart.describe(points);
}
