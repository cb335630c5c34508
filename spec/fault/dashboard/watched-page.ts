import type { Locator, Page } from '../../support/browser/browser';
import { eventually } from '../../support/waiting';

export type Role = 'producer' | 'consumer';

/** The dashboard as somebody sees it who looks at the page: numbers are read where they stand. */
export class WatchedPage {
  readonly page: Page;
  /** What went wrong in the page itself. */
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

  /** Where a connection is now: `['Up', 3]`. */
  async now(role: Role): Promise<readonly [word: string, epoch: number]> {
    const [, word = '', epoch] = /^(\w+)(?:, epoch (\d+))?/.exec(await this.text(`now-${role}`)) ?? [];
    return [word, Number(epoch)];
  }

  async epochs(): Promise<Record<Role, number>> {
    const [[, producer], [, consumer]] = await Promise.all([this.now('producer'), this.now('consumer')]);
    return { producer, consumer };
  }

  /** What the list says of the last outage of this connection. */
  async lastOutage(role: Role): Promise<string> {
    const name = role === 'producer' ? 'Producer' : 'Consumer';
    const lines = await this.page.locator('#happenings > li').allInnerTexts();
    return (lines.find((line) => line.includes(name)) ?? '').replace(/\s+/g, ' ');
  }

  /** Both up again, and the button as well. */
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
