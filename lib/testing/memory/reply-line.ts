import { NEVER, type Observable } from 'rxjs';
import type { Scheduler } from './scheduler';

/** What the broker sends on one connection. It arrives in order, later, or never. */
export interface Replies {
  /** Is anything sent that has not arrived? */
  readonly busy: boolean;
  /** `arrive` runs at the client. */
  send(arrive: () => void): void;
  hold(): void;
  release(): void;
}

/** What the client sends on one connection. It arrives in order. */
export interface Requests {
  /** `read` runs at the broker. */
  send(read: () => void): void;
  /** `false`: too much is on its way, until `drain$`. */
  readonly writable: boolean;
  /** Does the broker confirm several messages in one frame? */
  readonly gathersConfirms: boolean;
  readonly drain$: Observable<void>;
}

/** The broker reads what the client sends in the same call. */
export const AT_ONCE: Requests = {
  send: (read) => {
    read();
  },
  writable: true,
  gathersConfirms: false,
  drain$: NEVER,
};

/** What the broker sends on one connection. It arrives in order, soon, or, while it is held, not until `release`. */
export class ReplyLine implements Replies {
  readonly #scheduler: Scheduler;
  readonly #sent: (() => void)[] = [];
  #held: boolean;

  constructor(scheduler: Scheduler, held: boolean) {
    this.#scheduler = scheduler;
    this.#held = held;
  }

  get busy(): boolean {
    return this.#sent.length > 0;
  }

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
