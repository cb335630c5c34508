import type { Pace } from './pace';

/** What the broker says on one connection, heard in order; can be held up, and cut. */
export class Wire {
  readonly #pace: Pace;
  readonly #said: (() => void)[] = [];
  #held: boolean;
  #cut = false;

  constructor(pace: Pace, held: boolean) {
    this.#pace = pace;
    this.#held = held;
  }

  /** Is something said that was not heard? */
  get busy(): boolean {
    return this.#said.length > 0;
  }

  say(hear: () => void): void {
    if (this.#cut) return;
    this.#said.push(hear);
    this.#pace.soon(() => {
      this.#next();
    });
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    for (let i = this.#said.length; i > 0; i--) {
      this.#pace.soon(() => {
        this.#next();
      });
    }
  }

  /** What was not heard never will be. */
  cut(): void {
    this.#cut = true;
    this.#said.length = 0;
  }

  #next(): void {
    if (!this.#held) this.#said.shift()?.();
  }
}
