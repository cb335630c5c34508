import type { InstanceQueue } from 'instance-queue';
import { auditTime, combineLatest, interval, map, startWith, type Subscription } from 'rxjs';
import type { Ledger } from '../../compose/ledger';

/** What is under way, and how it ended. */
export interface Progress {
  /** The text in front of the live counts, on a terminal. */
  doing(what: string): void;
  /** A line that stays. */
  line(text: string): void;
  stop(): void;
}

/** One live line on a terminal, rewritten in place; elsewhere, what is done and how it ended, line by line. */
export function progress(queue: InstanceQueue, ledger: Ledger): Progress {
  return process.stdout.isTTY
    ? live(queue, ledger)
    : { doing: () => undefined, line: console.log, stop: () => undefined };
}

function live(queue: InstanceQueue, ledger: Ledger): Progress {
  const { stdout } = process;
  let [shown, what] = ['', ''];
  const clear = (): void => {
    stdout.write('\r\u001b[2K');
  };
  const running: Subscription = combineLatest([queue.health$, interval(100).pipe(startWith(0))])
    .pipe(
      auditTime(50),
      map(([{ connections, consumers }]) => {
        const { sent, confirmed, received } = ledger.counts();
        const { producer, consumer } = connections;
        const attached = consumers.some(({ status }) => status === 'attached') ? 'consuming' : 'not consuming';
        const states = `producer ${producer.status}, consumer ${consumer.status} and ${attached}`;
        return `  ${what} · ${states} · sent ${String(sent)}, confirmed ${String(confirmed)}, received ${String(received)}`;
      }),
    )
    .subscribe((text) => {
      shown = text.slice(0, Math.max(20, stdout.columns - 1));
      clear();
      stdout.write(shown);
    });
  return {
    doing: (text) => {
      what = text;
    },
    line: (text) => {
      clear();
      stdout.write(`${text}\n${shown}`);
    },
    stop: () => {
      running.unsubscribe();
      clear();
    },
  };
}
