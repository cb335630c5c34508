import type { Pace } from './scheduler';

/** What the broker says on one connection, heard in order; can be held up. */
export class Wire {
  readonly #pace: Pace;
  readonly #said: (() => void)[] = [];
  #held: boolean;

  constructor(pace: Pace, held: boolean) {
    this.#pace = pace;
    this.#held = held;
  }

  /** Is something said that was not heard? */
  get busy(): boolean {
    return this.#said.length > 0;
  }

  say(hear: () => void): void {
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

  #next(): void {
    if (!this.#held) this.#said.shift()?.();
  }
}
