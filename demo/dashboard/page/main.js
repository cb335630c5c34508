import { describeCharts, drawCharts } from './charts.js';
import { showCounts } from './counts.js';
import { byId, setText } from './elements.js';
import { listen } from './feed.js';
import { showGauges } from './gauges.js';
import { forgetHappenings, showHappenings } from './happenings.js';
import { showHealth, showNoHealth } from './health.js';
import { addLine, showLog } from './log.js';
import { Timeline } from './timeline.js';
import { listenToPause, showProgress, showTrouble, showTroubles } from './troubles.js';

/** ms between two looks at the clock. */
const EVERY = 250;

const timelines = { producer: new Timeline('producer'), consumer: new Timeline('consumer') };
let points = [];
let window = 120_000;
/** ms by which the dashboard's clock is ahead of ours. */
let ahead = 0;
let ended = false;
let alive = false;

const now = () => Date.now() + ahead;

function tellBanner(text) {
  const banner = byId('banner');
  banner.hidden = text === '';
  setText(banner, text);
}

function showSample({ point, balance, metrics }) {
  points = [...points, point].filter(({ at }) => at > now() - window);
  showCounts(balance);
  showGauges(metrics);
  drawCharts(points, now(), window);
}

function draw() {
  if (!alive) return;
  for (const timeline of Object.values(timelines)) timeline.draw(now(), window);
  showProgress(now());
}

listen(
  {
    present(present) {
      ended = false;
      alive = true;
      tellBanner('');
      ahead = present.now - Date.now();
      window = present.window;
      const { version, where } = present.broker;
      setText(byId('broker'), `RabbitMQ ${version} at ${where}`);
      points = present.points;
      forgetHappenings();
      for (const [role, spans] of Object.entries(present.spans)) {
        timelines[role].reset(spans);
        showHappenings(role, spans, false);
      }
      showTroubles(present.troubles);
      showHealth(present.health);
      showLog(present.log);
      showSample(present.sample);
      describeCharts(points);
      draw();
    },
    health: showHealth,
    spans({ role, spans }) {
      timelines[role].update(spans);
      showHappenings(role, timelines[role].spans, true);
      draw();
    },
    sample: showSample,
    trouble: showTrouble,
    log: addLine,
    end({ balance }) {
      ended = true;
      tellBanner('The dashboard is closing: what is under way arrives first.');
      if (!balance) return;
      alive = false;
      showCounts(balance);
      showNoHealth('Ended', '');
      tellBanner('The dashboard has ended. Start it again, and this page goes on.');
    },
  },
  () => {
    if (ended) return;
    alive = false;
    showNoHealth('No answer', 'from the dashboard');
    tellBanner('The dashboard does not answer. Trying again …');
  },
);

listenToPause();
setInterval(draw, EVERY);
setInterval(() => describeCharts(points), 5000);
