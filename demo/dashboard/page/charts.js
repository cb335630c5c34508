/* global uPlot -- a classic script, loaded before this one */
import { byId, make, setText } from './elements.js';
import { figure } from './format.js';

const HEIGHT = 190;
const RATE = [
  { key: 'sent', label: 'Sent', dash: [], width: 1, filled: true },
  { key: 'confirmed', label: 'Confirmed', dash: [], width: 2 },
  { key: 'received', label: 'Received', dash: [5, 4], width: 2 },
];
const LATENCY = [
  { key: 'median', label: 'Median', dash: [], width: 2, filled: true },
  { key: 'worst', label: 'Slowest', dash: [5, 4], width: 1.5 },
];
const DECADES = [1, 10, 100, 1000, 10_000, 100_000];
const SECONDS = { ticks: [-120, -90, -60, -30, 0], names: ['2 min', '90 s', '60 s', '30 s', 'now'] };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** One chart: the last minutes, newest to the right. Logarithmic ones show an outage and a millisecond in one picture. */
class Chart {
  #name;
  #series;
  #log;
  #box;
  #values = new Map();
  #plot;

  constructor(name, series, log) {
    this.#name = name;
    this.#series = series;
    this.#log = log;
    this.#box = byId(`${name}-chart`);
    this.#makeLegend();
    this.#build([[], ...series.map(() => [])]);
    new ResizeObserver(() => this.#plot.setSize({ width: this.#box.clientWidth, height: HEIGHT })).observe(this.#box);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#build(this.#plot.data));
  }

  draw(points, now, window) {
    const seconds = points.map(({ at }) => (at - now) / 1000);
    const columns = this.#series.map(({ key }) => points.map((point) => point[key]));
    this.#plot.setData([seconds, ...columns], false);
    this.#plot.setScale('x', { min: -window / 1000, max: 0 });
    const last = points.at(-1);
    for (const { key } of this.#series) setText(this.#values.get(key), figure(last?.[key]));
  }

  /** The picture in a sentence. */
  describe(points, title, unit) {
    const parts = this.#series.map(({ key, label }) => {
      const values = points.map((point) => point[key]).filter((value) => value !== null);
      if (values.length === 0) return `${label}: nothing yet`;
      const [least, most] = [Math.min(...values), Math.max(...values)];
      return `${label}: ${figure(points.at(-1)[key])} now, between ${figure(least)} and ${figure(most)}`;
    });
    this.#box.setAttribute('aria-label', `${title} in the last two minutes, ${unit}. ${parts.join('. ')}.`);
  }

  #build(data) {
    this.#plot?.destroy();
    const grid = { stroke: colour('line'), width: 1 };
    const axis = { stroke: colour('muted'), font: '12px Inter, system-ui, sans-serif', grid, ticks: { show: false } };
    this.#plot = new uPlot(
      {
        width: this.#box.clientWidth,
        height: HEIGHT,
        padding: [8, 14, 0, 0],
        cursor: { show: false },
        select: { show: false },
        scales: {
          x: { time: false },
          y: this.#log
            ? { distr: 3, log: 10, range: (_, __, most) => [1, Math.max(100, 10 ** Math.ceil(Math.log10(most || 1)))] }
            : { range: (_, __, most) => [0, Math.max(100, (most ?? 0) * 1.15)] },
        },
        axes: [
          { ...axis, size: 28, gap: 8, splits: () => SECONDS.ticks, values: () => SECONDS.names },
          {
            ...axis,
            size: 46,
            gap: 6,
            ...(this.#log && { splits: () => DECADES }),
            values: (_, splits) => splits.map((value) => (value >= 1000 ? `${value / 1000}k` : value)),
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
      this.#values.set(key, value);
      byId(`${this.#name}-legend`).append(make('li', {}, [line, make('span', { text: label }), value]));
    }
  }
}

const rate = new Chart('rate', RATE, false);
const latency = new Chart('latency', LATENCY, true);

export function drawCharts(points, now, window) {
  // Zero has no place on a logarithmic axis.
  const above = points.map((point) => ({ ...point, median: atLeastOne(point.median), worst: atLeastOne(point.worst) }));
  rate.draw(points, now, window);
  latency.draw(above, now, window);
}

/** For those who do not see them; now and then is enough. */
export function describeCharts(points) {
  rate.describe(points, 'Message rate', 'messages per second');
  latency.describe(points, 'Latency from sending to the work', 'ms');
}

const atLeastOne = (ms) => (ms === null ? null : Math.max(1, ms));
