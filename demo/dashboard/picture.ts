/**
 * `npm run demo:picture`: takes the pictures of the dashboard for the README and the guide, in light and in dark: starts the
 * demo, injects some faults, and photographs the page with a headless Chromium.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

/** The part of playwright-core that is used here. */
interface Page {
  goto(url: string): Promise<unknown>;
  readonly mouse: { move(x: number, y: number): Promise<void> };
  locator(selector: string): { click(): Promise<void> };
  waitForSelector(selector: string): Promise<unknown>;
  screenshot(options: { path: string; clip: object }): Promise<unknown>;
  emulateMedia(options: { colorScheme: 'light' | 'dark' }): Promise<void>;
}
interface Chromium {
  launch(options: { executablePath: string; args: readonly string[] }): Promise<{
    newPage(options: object): Promise<Page>;
    close(): Promise<void>;
  }>;
}

const SIZE = { width: 1280, height: 1010 };
/** The faults, and ms until the next one. */
const STORY = [
  ['cut-consumer', 9000],
  ['refuse', 14_000],
  ['memory-alarm', 14_000],
  ['cut-producer', 12_000],
] as const;

async function main(): Promise<void> {
  const { chromium } = createRequire(__filename)('playwright-core') as { readonly chromium: Chromium };
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  const demo = spawn(process.execPath, ['-r', 'esbuild-register', 'demo/dashboard.ts', '--own', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage({ viewport: SIZE, colorScheme: 'light' });
    await page.goto(await address(demo.stdout));
    // Fills the timelines before the first fault.
    await pause(40_000);
    for (const [fault, wait] of STORY) {
      await page.locator(`[data-trouble="${fault}"]`).click();
      await pause(wait);
      await page.waitForSelector(`[data-trouble="${fault}"][data-status="recovered"]`);
    }
    await page.mouse.move(0, 0);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await pause(1000);
      await page.screenshot({
        path: join(__dirname, '..', `dashboard-${colorScheme}.png`),
        clip: { x: 0, y: 0, ...SIZE },
      });
    }
  } finally {
    await browser.close();
    demo.kill('SIGTERM');
  }
}

/** Reads the URL of the page from the output of the demo. Reads to the end, so that the demo is never blocked. */
function address(output: Readable): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    output.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const [, url] = /Dashboard +(http\S+)/.exec(text) ?? [];
      if (url !== undefined) resolve(url);
    });
    output.on('end', () => reject(new Error(`The demo did not start:\n${text}`)));
  });
}

main().catch((error: unknown) => {
  process.exitCode = 1;
  console.error(error);
});
