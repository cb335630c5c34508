import { createRequire } from 'node:module';
import { getChromium } from './chromium';

/** The part of playwright-core that is used here. Its own types need those of the DOM, which this project does not load. */
export interface Browser {
  newContext(options: ContextOptions): Promise<BrowserContext>;
  close(): Promise<void>;
}
export interface ContextOptions {
  readonly colorScheme: 'light' | 'dark';
  readonly viewport: { readonly width: number; readonly height: number };
  readonly reducedMotion?: 'reduce';
}
export interface BrowserContext {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}
export interface Page {
  readonly keyboard: { press(key: string): Promise<void> };
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  close(): Promise<void>;
  locator(selector: string): Locator;
  /** Evaluates an expression in the page. */
  evaluate<T>(expression: string): Promise<T>;
  screenshot(options: { readonly path: string; readonly fullPage: boolean }): Promise<unknown>;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
}
export interface Locator {
  click(): Promise<void>;
  focus(): Promise<void>;
  hover(): Promise<void>;
  count(): Promise<number>;
  first(): Locator;
  last(): Locator;
  innerText(): Promise<string>;
  allInnerTexts(): Promise<string[]>;
  getAttribute(name: string): Promise<string | null>;
  isVisible(): Promise<boolean>;
}

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts Chromium without a window, with a temporary profile. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await getChromium();
  const { chromium } = createRequire(__filename)('playwright-core') as {
    readonly chromium: { launch(options: { executablePath: string; args: string[] }): Promise<Browser> };
  };
  return chromium.launch({ executablePath, args: FLAGS });
}
