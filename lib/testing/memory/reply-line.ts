import type { Scheduler } from './scheduler';

/** What the broker sends on one connection. It arrives in order, soon, or, while it is held, not until `release`. */
export class ReplyLine {
  readonly #scheduler: Scheduler;
  readonly #sent: (() => void)[] = [];
  #held: boolean;

  constructor(scheduler: Scheduler, held: boolean) {
    this.#scheduler = scheduler;
    this.#held = held;
  }

  /** Is anything sent that has not arrived? */
  get busy(): boolean {
    return this.#sent.length > 0;
  }

  /** `arrive` runs at the client. */
  send(arrive: () => void): void {
    this.#sent.push(arrive);
    this.#arriveSoon();
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    for (let i = this.#sent.length; i > 0; i--) this.#arriveSoon();
  }

  #arriveSoon(): void {
    this.#scheduler.soon(() => {
      if (!this.#held) this.#sent.shift()?.();
    });
  }
}
