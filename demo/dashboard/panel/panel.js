// The demo's part of the page: what became of each message, latency, and buttons that inject faults.
import { announce } from '/announcer.js';
import { Chart, describeCharts, drawCharts } from '/charts.js';
import { byId, setText } from '/elements.js';
import { on } from '/feed.js';
import { showCounts } from './counts.js';
import { layOut } from './layout.js';
import { order } from './order.js';
import { showRun } from './run.js';
import { isRunning, showProgress, showTrouble, showTroubles } from './troubles.js';

/** ms between two updates of durations. */
const EVERY = 250;

layOut();
const charts = [
  new Chart({
    name: 'latency',
    title: 'Latency from sending to the work',
    unit: 'ms',
    kind: 'decades',
    series: [
      { key: 'median', label: 'Median', dash: [], width: 2, filled: true },
      { key: 'worst', label: 'Slowest', dash: [5, 4], width: 1.5 },
    ],
  }),
];
let latencies = [];
let window = 120_000;
/** ms by which the clock of the demo is ahead of this one. */
let ahead = 0;

const now = () => Date.now() + ahead;

function showSample({ latency, balance }) {
  latencies = [...latencies, latency].filter(({ at }) => at > now() - window);
  drawCharts(charts, latencies, now(), window);
  showCounts(balance);
}

function showPaused(paused) {
  byId('pause').setAttribute('aria-checked', String(paused));
}

function showBanner(text) {
  const banner = byId('banner');
  banner.dataset.held = 'true';
  banner.hidden = false;
  setText(banner, text);
}

on({
  'panel-present'(present) {
    delete byId('banner').dataset.held;
    byId('banner').hidden = true;
    ahead = present.now - Date.now();
    window = present.window;
    setText(byId('broker-version'), present.broker);
    latencies = present.latencies;
    showTroubles(present.troubles);
    showRun(present.run);
    showPaused(present.paused);
    showCounts(present.balance);
  },
  'panel-sample': showSample,
  'panel-trouble': showTrouble,
  'panel-run': showRun,
  'panel-paused': showPaused,
  'panel-end'({ balance }) {
    if (balance) showCounts(balance);
    showBanner(
      balance
        ? 'The dashboard has ended. Start it again, and this page goes on.'
        : 'The dashboard is closing: messages under way arrive first.',
    );
  },
});

byId('pause').addEventListener('click', () => {
  const paused = byId('pause').getAttribute('aria-checked') === 'true';
  void order(paused ? '/resume' : '/pause');
});
byId('run-all').addEventListener('click', () => {
  if (byId('run-all').getAttribute('aria-disabled') === 'true') return;
  announce('All faults, one after the other.');
  void order('/troubles');
});
setInterval(() => isRunning() && showProgress(now()), EVERY);
setInterval(() => describeCharts(charts, latencies), 5000);
