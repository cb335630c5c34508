import { RATE_CHARTS, describeCharts, drawCharts } from './charts.js';
import { offerDeadLetters } from './dead-letters.js';
import { byId, setText } from './elements.js';
import { listen, on } from './feed.js';
import { showFigures } from './figures.js';
import { showGauges } from './gauges.js';
import { forgetHappenings, showHappenings } from './happenings.js';
import { showHealth, showNoHealth } from './health.js';
import { addLine, showLog } from './log.js';
import { showLegend } from './phases.js';
import { Timeline } from './timeline.js';

/** ms between two updates of durations. */
const EVERY = 250;

const timelines = { producer: new Timeline('producer'), consumer: new Timeline('consumer') };
let points = [];
let window = 120_000;
/** ms by which the clock of the service is ahead of this one. */
let ahead = 0;
let ended = false;
let alive = false;

const now = () => Date.now() + ahead;

function setBanner(text) {
  const banner = byId('banner');
  // A panel may show a message of higher priority.
  if (banner.dataset.held) return;
  banner.hidden = text === '';
  setText(banner, text);
}

function showSample({ point, metrics }) {
  if (point) points = [...points, point].filter(({ at }) => at > now() - window);
  showFigures(metrics);
  showGauges(metrics);
  drawCharts(RATE_CHARTS, points, now(), window);
}

function draw() {
  if (!alive) return;
  for (const timeline of Object.values(timelines)) timeline.draw(now(), window);
}

on({
  present(present) {
    ended = false;
    alive = true;
    setBanner('');
    ahead = present.now - Date.now();
    window = present.window;
    points = present.points;
    setText(byId('title'), present.title);
    document.title = `${present.title} dashboard`;
    forgetHappenings();
    for (const [role, spans] of Object.entries(present.spans)) {
      timelines[role].reset(spans);
      showHappenings(role, spans, false);
    }
    showHealth(present.health);
    showLog(present.log);
    showSample({ metrics: present.metrics });
    describeCharts(RATE_CHARTS, points);
    draw();
  },
  health: showHealth,
  spans({ role, spans }) {
    timelines[role].update(spans);
    showHappenings(role, timelines[role].spans, true);
    draw();
  },
  sample: showSample,
  log: addLine,
  end() {
    ended = true;
    alive = false;
    showNoHealth('Closed', '');
    setBanner('The queue is closed. This page goes on when the service is started again.');
  },
});

showLegend();
offerDeadLetters();
setInterval(draw, EVERY);
setInterval(() => describeCharts(RATE_CHARTS, points), 5000);
// The panel is loaded by then, and has registered its listeners.
addEventListener('DOMContentLoaded', () =>
  listen('events', () => {
    if (ended) return;
    alive = false;
    showNoHealth('No answer', 'from the service');
    setBanner('The service does not answer. Trying again …');
  }),
);
