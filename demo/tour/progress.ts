import type { Health, InstanceQueue } from 'instance-queue';
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

/** The state in two words: what is not up, or that everything is. */
function stateOf({ connections: { producer, consumer }, consumers }: Health): string {
  if (producer.status !== 'connected') return `producer ${producer.status}`;
  if (consumer.status !== 'connected') return `consumer ${consumer.status}`;
  return consumers.some(({ status }) => status === 'attached') ? 'all connected' : 'consumer attaching';
}

function live(queue: InstanceQueue, ledger: Ledger): Progress {
  const { stdout } = process;
  let what = '';
  const clear = (): void => {
    stdout.write('\r\u001b[2K');
  };
  const running: Subscription = combineLatest([queue.health$, interval(100).pipe(startWith(0))])
    .pipe(
      auditTime(50),
      map(([health]) => {
        const { sent, received } = ledger.counts();
        return `  ${what} · ${stateOf(health)} · received ${String(received)} of ${String(sent)}`;
      }),
    )
    .subscribe((text) => {
      clear();
      // A terminal of unknown width says 0.
      stdout.write(text.slice(0, (stdout.columns || 80) - 1));
    });
  return {
    doing: (text) => {
      what = text;
    },
    line: (text) => {
      clear();
      stdout.write(`${text}\n`);
    },
    stop: () => {
      running.unsubscribe();
      clear();
    },
  };
}
