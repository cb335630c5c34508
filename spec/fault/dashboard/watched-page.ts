import type { Locator, Page } from '../../support/browser/browser';
import { eventually } from '../../support/waiting';

export type Role = 'producer' | 'consumer';

/** The dashboard as a user sees it: values are read from the page. */
export class WatchedPage {
  readonly page: Page;
  /** Errors of the page itself. */
  readonly errors: string[] = [];

  constructor(page: Page) {
    this.page = page;
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') this.errors.push(message.text());
    });
  }

  async open(url: string): Promise<this> {
    await this.page.goto(url);
    await eventually(() => this.button('poison').isVisible());
    return this;
  }

  button(trouble: string): Locator {
    return this.page.locator(`[data-trouble="${trouble}"]`);
  }

  text(id: string): Promise<string> {
    return this.page.locator(`#${id}`).innerText();
  }

  async count(what: 'sent' | 'confirmed' | 'received' | 'on-the-way' | 'duplicates' | 'lost'): Promise<number> {
    return numberIn(await this.text(`count-${what}`));
  }

  async gauge(label: string): Promise<number> {
    return numberIn(await this.page.locator(`[data-gauge="${label}"]`).innerText());
  }

  /** The phase and epoch of a connection: `['Up', 3]`. */
  async now(role: Role): Promise<readonly [word: string, epoch: number]> {
    const [, word = '', epoch] = /^(\w+)(?:, epoch (\d+))?/.exec(await this.text(`now-${role}`)) ?? [];
    return [word, Number(epoch)];
  }

  async epochs(): Promise<Record<Role, number>> {
    const [[, producer], [, consumer]] = await Promise.all([this.now('producer'), this.now('consumer')]);
    return { producer, consumer };
  }

  /** The text of the last outage of this connection. */
  async lastOutage(role: Role): Promise<string> {
    const name = role === 'producer' ? 'Producer' : 'Consumer';
    const lines = await this.page.locator('#happenings > li').allInnerTexts();
    return (lines.find((line) => line.includes(name)) ?? '').replace(/\s+/g, ' ');
  }

  /** Each phase of the legend: its look, and the lower contrast of its text with its two colours. */
  phases(): Promise<readonly { readonly look: string; readonly contrast: number }[]> {
    return this.page.evaluate(`(() => {
      const luminance = (hex) => [1, 3, 5]
        .map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
        .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
        .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
      const contrast = (a, b) => {
        const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
        return (light + 0.05) / (dark + 0.05);
      };
      return [...document.querySelectorAll('#legend [data-phase]')].map((swatch) => {
        const style = getComputedStyle(swatch);
        const [bar, stripe, text] = ['--bar', '--stripe', '--on-bar'].map((name) => style.getPropertyValue(name).trim());
        return {
          look: style.backgroundColor + style.backgroundImage,
          contrast: Math.min(contrast(text, bar), contrast(text, stripe)),
        };
      });
    })()`);
  }

  /** Waits until both connections and the button have recovered. */
  async recovered(trouble: string, limit: number): Promise<void> {
    await eventually(async () => {
      const status = await this.button(trouble).getAttribute('data-status');
      if (status === 'failed') throw new Error(`${trouble}: ${await this.button(trouble).innerText()}`);
      return status === 'recovered';
    }, limit);
    await eventually(async () => {
      const states = await Promise.all([this.now('producer'), this.now('consumer')]);
      return states.every(([word]) => word === 'Up') && (await this.text('health-word')) === 'Up';
    });
  }
}

const numberIn = (text: string): number => Number(text.replace(/[^\d.]/g, ''));
