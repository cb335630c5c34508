import { MessageChannel } from 'node:worker_threads';

/** Tasks that run before the event loop gets a turn. */
const TASKS_PER_TURN = 1000;

/**
 * Runs tasks in order, each in a microtask of its own and none by a timer: a test that holds the clock does not have to
 * move it for them. Every so often it waits for a turn of the event loop, so that messages that circulate for ever do not
 * block the process.
 */
export class Scheduler {
  readonly #tasks: (() => void)[] = [];
  #scheduled = false;
  #run = 0;

  /** Do tasks wait? */
  get busy(): boolean {
    return this.#tasks.length > 0;
  }

  soon(task: () => void): void {
    this.#tasks.push(task);
    if (!this.#scheduled) this.#schedule();
  }

  #schedule(): void {
    this.#scheduled = true;
    this.#run++;
    const runNext = (): void => {
      const task = this.#tasks.shift();
      try {
        task?.();
      } finally {
        // Scheduled behind the task: the promises that it settled are heard before the next task runs.
        if (this.#tasks.length > 0) this.#schedule();
        else this.#scheduled = false;
      }
    };
    if (this.#run % TASKS_PER_TURN === 0) nextTurn(runNext);
    else void Promise.resolve().then(runNext);
  }
}

/** By a MessageChannel, since fake timers replace every timer of Node, setImmediate included. */
function nextTurn(run: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.once('message', () => {
    port1.close();
    run();
  });
  port2.postMessage(undefined);
}
