import { mkdtempSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchBrowser, type Browser, type ContextOptions } from '../../support/browser/browser';
import { startChild, type Child } from '../../support/child';
import { eventually } from '../../support/waiting';
import { WatchedPage } from './watched-page';

jest.setTimeout(120_000);

const WIDE = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };
const pictures = mkdtempSync(join(tmpdir(), 'instance-queue-dashboard-'));

let child: Child;
let browser: Browser;
let url: string;
let watched: WatchedPage;

async function look(options: ContextOptions): Promise<WatchedPage> {
  const context = await browser.newContext(options);
  return new WatchedPage(await context.newPage()).open(url);
}

// A broker has to start, and perhaps a browser has to be installed.
beforeAll(async () => {
  child = startChild('demo/dashboard.ts', ['--own', '--port', '0'], 400_000);
  browser = await launchBrowser();
  await child.says(/Dashboard +http\S+/);
  url = /Dashboard +(http\S+)/.exec(child.output())?.[1] ?? '';
  watched = await look({ colorScheme: 'light', viewport: WIDE });
}, 300_000);
afterAll(async () => {
  child.signal('SIGKILL');
  await browser.close();
  process.stderr.write(`dashboard: screenshots are in ${pictures}\n`);
});

it('the page shows that both connections are up and messages arrive', async () => {
  await eventually(async () => (await watched.count('received')) > 20);
  expect(await watched.now('producer')).toEqual(['Up', 1]);
  expect(await watched.now('consumer')).toEqual(['Up', 1]);
  expect(await watched.text('health')).toMatch(/Up\s+connected, attached, confirming/);
  expect(await watched.text('consumers')).toMatch(/attached\s+instance-queue-dashboard-\d+, epoch 1/);
  expect(await watched.text('log')).toMatch(/consumer attached/);
});

describe('a fault is locked while it runs, shows how long recovery took, and loses nothing:', () => {
  /** Presses the button and waits for the recovery. Returns the epochs from before. */
  async function press(trouble: string, meanwhile?: () => Promise<void>, limit = 30_000) {
    const before = await watched.epochs();
    const received = await watched.count('received');
    await watched.button(trouble).click();
    await meanwhile?.();
    await watched.recovered(trouble, limit);
    expect(await watched.button(trouble).innerText()).toMatch(/back in [\d.]+ m?s/);
    expect(await watched.button(trouble).getAttribute('aria-disabled')).toBe('false');
    await eventually(async () => (await watched.count('received')) > received);
    expect(await watched.count('lost')).toBe(0);
    return before;
  }
  const disabled = (trouble: string) =>
    eventually(async () => (await watched.button(trouble).getAttribute('aria-disabled')) === 'true');

  it('cut consumer', async () => {
    const { producer, consumer } = await press('cut-consumer');
    expect(await watched.epochs()).toEqual({ producer, consumer: consumer + 1 });
    expect(await watched.lastOutage('consumer')).toMatch(
      /Consumer Reconnecting [\d.]+ m?s epoch 1 → 2 Lost the connection/,
    );
  });

  it('cut producer', async () => {
    const { producer, consumer } = await press('cut-producer');
    expect(await watched.epochs()).toEqual({ producer: producer + 1, consumer });
    expect(await watched.lastOutage('producer')).toMatch(/Producer Reconnecting .* epoch 1 → 2 .*Lost the connection/);
  });

  it('refuse for 5 s', async () => {
    const { producer, consumer } = await press('refuse', async () => {
      await disabled('refuse');
      // No other fault may disturb the measurement.
      await disabled('black-hole');
      await disabled('cut-consumer');
      expect(await watched.button('cut-consumer').innerText()).toContain('Locked while “Refuse for 5 s” is timed');
      await eventually(async () => (await watched.text('health-word')) === 'Degraded');
      // Each connection detects it by itself.
      await eventually(async () => (await watched.now('producer'))[0] === 'Reconnecting');
      await eventually(async () => (await watched.now('consumer'))[0] === 'Reconnecting');
      await eventually(async () => (await watched.gauge('Outbox, queued')) > 0);
    });
    expect(await watched.epochs()).toEqual({ producer: producer + 1, consumer: consumer + 1 });
  });

  it('black-hole', async () => {
    const { producer, consumer } = await press('black-hole', async () => {
      await disabled('black-hole');
      // Neither side is notified: heartbeats detect it.
      await eventually(async () => (await watched.now('consumer'))[0] === 'Reconnecting');
    });
    expect(await watched.epochs()).toEqual({ producer: producer + 1, consumer: consumer + 1 });
    expect(await watched.lastOutage('consumer')).toMatch(/[Hh]eartbeat/);
  });

  it('memory alarm', async () => {
    const blocked = async () => {
      await disabled('memory-alarm');
      await eventually(async () => (await watched.now('producer'))[0] === 'Blocked');
      expect((await watched.now('consumer'))[0]).toBe('Up');
    };
    const before = await press('memory-alarm', blocked, 80_000);
    expect(await watched.epochs()).toEqual(before);
    expect(await watched.lastOutage('producer')).toMatch(/Blocked .* The broker says: low on memory/);
  });

  it('delete queue', async () => {
    const before = await press('delete-queue');
    expect(await watched.epochs()).toEqual(before);
    expect(await watched.lastOutage('consumer')).toMatch(/Attaching .*cancelled/);
  });

  it('poison message, which is refused alone', async () => {
    const before = await press('poison');
    expect(await watched.epochs()).toEqual(before);
    expect(await watched.button('poison').innerText()).toContain('Refused alone (PUBLISH_REFUSED)');
  });

  it('undecodable message, which is rejected alone', async () => {
    const before = await press('undecodable');
    expect(await watched.epochs()).toEqual(before);
    await eventually(async () => (await watched.gauge('Undecodable')) === 1);
    expect(await watched.text('log')).toMatch(/undecodable message/);
  });

  it('restart broker', async () => {
    const { producer, consumer } = await press(
      'restart-broker',
      () => disabled('memory-alarm').then(() => undefined),
      80_000,
    );
    expect(await watched.epochs()).toEqual({ producer: producer + 1, consumer: consumer + 1 });
    // A broker that ends may reset the connection before what it says of that has been read.
    expect(await watched.lastOutage('producer')).toMatch(/CONNECTION.FORCED|dropped it/);
  });
});

it('the pause switch, by keyboard, lets messages wait and then come', async () => {
  const pause = watched.page.locator('#pause');
  await pause.focus();
  await watched.page.keyboard.press('Space');
  await eventually(async () => (await pause.getAttribute('aria-checked')) === 'true');
  await eventually(async () => (await watched.now('consumer'))[0] === 'Paused');
  await eventually(async () => (await watched.count('on-the-way')) > 30);
  // Waiting messages are not lost, and a fault during the pause can end.
  expect(await watched.count('lost')).toBe(0);
  await watched.button('cut-producer').click();
  await eventually(async () => (await watched.button('cut-producer').getAttribute('data-status')) === 'recovered');
  await pause.focus();
  await watched.page.keyboard.press('Space');
  await eventually(async () => (await watched.now('consumer'))[0] === 'Up');
  await eventually(async () => (await watched.count('on-the-way')) < 5);
  expect(await watched.lastOutage('consumer')).toMatch(/Consumer Paused/);
});

it('all faults run one after the other, with a summary of what each cost', async () => {
  await watched.page.locator('#run-all').click();
  await eventually(async () => /^Fault [12] of 9$/.test(await watched.text('run-all-title')));
  // The last fault is locked, too.
  expect(await watched.button('undecodable').getAttribute('aria-disabled')).toBe('true');
  await eventually(async () => (await watched.text('run-all-title')) === 'Run all faults', 110_000);
  expect(await watched.text('run-summary')).toMatch(/^9 of 9 recovered; the slowest was “[\w ]+” with [\d.]+ m?s\./);
  expect(await watched.page.locator('#run-summary dd').allInnerTexts()).toHaveLength(9);
  expect(await watched.count('lost')).toBe(0);
}, 150_000);

it('a repeated line of the log is counted instead', async () => {
  const texts = (await watched.page.locator('#log > li').allInnerTexts()).map((text) => text.replace(/^\S+\s+/, ''));
  expect(texts.length).toBeGreaterThan(20);
  expect(texts.filter((text, i) => text === texts[i + 1])).toEqual([]);
});

it('every control can be reached by keyboard, and has a name', async () => {
  await watched.page.reload();
  await eventually(() => watched.button('poison').isVisible());
  const reached: string[] = [];
  for (let i = 0; i < 30; i++) {
    await watched.page.keyboard.press('Tab');
    const what = await watched.page.evaluate<string>(
      '(document.activeElement.dataset.trouble ?? document.activeElement.id) || document.activeElement.className',
    );
    reached.push(what);
    if (what === 'log') break;
  }
  expect(reached[0]).toBe('skip');
  expect(reached.filter((what) => what.startsWith('span'))).toHaveLength(2);
  expect(reached).toEqual(expect.arrayContaining(['happenings', 'pause', 'cut-consumer', 'restart-broker', 'log']));

  // Along a timeline with the arrow keys; the tip explains each span.
  await watched.page.locator('#track-consumer [tabindex="0"]').focus();
  await watched.page.keyboard.press('End');
  expect(await watched.text('tip')).toMatch(/^Consumer: Up for .*, epoch \d+\./);
  await watched.page.keyboard.press('ArrowLeft');
  expect(await watched.text('tip')).not.toMatch(/^Consumer: Up/);
});

describe.each([
  ['light and wide', { colorScheme: 'light', viewport: WIDE }],
  ['dark and wide', { colorScheme: 'dark', viewport: WIDE }],
  ['light and narrow', { colorScheme: 'light', viewport: PHONE }],
  ['dark and narrow', { colorScheme: 'dark', viewport: PHONE }],
  ['as narrow as phones are', { colorScheme: 'light', viewport: { width: 360, height: 740 } }],
] as const)('%s', (name, options) => {
  it('a page that is opened later shows the whole history, fits, and is accessible', async () => {
    const late = await look({ ...options, reducedMotion: 'reduce' });
    await eventually(async () => (await late.count('received')) > 100);
    expect(await late.lastOutage('producer')).toMatch(/Producer/);
    const width = await late.page.evaluate<number>('document.documentElement.scrollWidth');
    expect(width).toBeLessThanOrEqual(options.viewport.width);

    // A label is shown completely or not at all.
    const clipped = await late.page.evaluate<string[]>(
      "[...document.querySelectorAll('.span')].filter((bar) => bar.scrollWidth > bar.clientWidth).map((bar) => bar.textContent)",
    );
    expect(clipped).toEqual([]);
    const unreadable = (await late.phases()).filter(({ contrast }) => contrast < 4.5);
    expect(unreadable).toEqual([]);
    const looks = (await late.phases()).map(({ look }) => look);
    expect(new Set(looks).size).toBe(10);

    await late.page.screenshot({ path: join(pictures, `${name.replaceAll(' ', '-')}.png`), fullPage: true });
    await late.page.evaluate(readFileSync(createRequire(__filename).resolve('axe-core/axe.min.js'), 'utf8'));
    const violations = await late.page.evaluate<{ id: string; impact: string; nodes: { html: string }[] }[]>(
      'axe.run().then(({ violations }) => violations)',
    );
    expect(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
    expect(late.errors).toEqual([]);
    await late.page.close();
  });
});

describe('a fault can be injected by the page only:', () => {
  /** Resolves with the status. */
  const post = (path: string, headers: Record<string, string>): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(url);
      const sent = request({ host: '127.0.0.1', port, path, method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.once('error', reject).end();
    });

  it.each<[string, Record<string, string>, number]>([
    ['another origin', { origin: 'http://127.0.0.1:1' }, 403],
    ['an origin that is kept secret', { origin: 'null' }, 403],
    ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }, 403],
    ['another name for this machine', { host: 'evil.example' }, 421],
  ])('not %s', async (_, headers, status) => {
    expect(await post('/troubles/poison', headers)).toBe(status);
    expect(await post('/pause', headers)).toBe(status);
    expect((await watched.now('consumer'))[0]).toBe('Up');
  });

  it('an unknown fault is refused', async () => {
    expect(await post('/troubles/nonsense', {})).toBe(404);
  });
});

it('SIGTERM during a fault ends the demo with everything confirmed and received, and the page shows the same totals', async () => {
  await watched.button('refuse').click();
  await eventually(async () => (await watched.button('refuse').getAttribute('data-status')) === 'running');
  child.signal('SIGTERM');
  const { code, signal, stdout, stderr } = await child.ended;
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: '' });
  const [, sent, confirmed, received, lost] =
    /sent (\d+), confirmed (\d+), received (\d+), duplicates \d+, lost (\d+)/.exec(stdout)?.map(Number) ?? [];
  const sunk = Number(/; (\d+) went with a queue/.exec(stdout)?.[1] ?? 0);
  expect(confirmed).toBe(sent);
  expect(received! + sunk).toBe(sent);
  expect(lost).toBe(0);
  await eventually(async () => (await watched.text('banner')).startsWith('The dashboard has ended'));
  expect(await watched.count('sent')).toBe(sent);
  expect(await watched.count('received')).toBe(received);
  expect(await watched.count('lost')).toBe(0);
  expect(watched.errors.filter((error) => !error.includes('ERR_CONNECTION_REFUSED'))).toEqual([]);
});
