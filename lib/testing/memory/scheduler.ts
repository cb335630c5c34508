import { MessageChannel } from 'node:worker_threads';

/** How many things may happen in one turn of the event loop. */
const IN_A_TURN = 1000;

/**
 * When what is said is heard: soon, in order, and without a timer, so that a test that holds the clock still need not move
 * it for that. Now and then a turn of the event loop goes by: messages that go in circles do not bring it to a stop.
 */
export class Pace {
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;
  #happened = 0;

  /** Does anything wait to be heard? */
  get busy(): boolean {
    return this.#waiting.length > 0;
  }

  soon(happen: () => void): void {
    this.#waiting.push(happen);
    if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#happened++;
    const go = (): void => {
      const happen = this.#waiting.shift();
      try {
        happen?.();
      } finally {
        // Behind it: who was promised something hears of that before the next thing happens.
        if (this.#waiting.length > 0) this.#schedule();
        else this.#scheduled = false;
      }
    };
    if (this.#happened % IN_A_TURN === 0) afterTurn(go);
    else void Promise.resolve().then(go);
  }
}

/** Fake timers replace those of Node, and leave this one alone. */
function afterTurn(go: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.once('message', () => {
    port1.close();
    go();
  });
  port2.postMessage(undefined);
}
