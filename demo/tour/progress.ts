import type { InstanceQueue } from 'instance-queue';
import { auditTime, combineLatest, interval, map, startWith, type Subscription } from 'rxjs';
import type { Ledger } from '../../compose/ledger';

/**
 * How things stand, rewritten in place on a terminal; elsewhere nothing, since the lines of the disruptions say it all.
 * `line` prints above it.
 */
export function progress(queue: InstanceQueue, ledger: Ledger): { line: (text: string) => void; stop: () => void } {
  const { stdout } = process;
  if (!stdout.isTTY) {
    return {
      line: (text) => {
        console.log(text);
      },
      stop: () => undefined,
    };
  }
  let shown = '';
  const clear = (): void => {
    stdout.write('\r\u001b[2K');
  };
  const running: Subscription = combineLatest([queue.health$, interval(100).pipe(startWith(0))])
    .pipe(
      auditTime(50),
      map(([{ status, connections, consumers }]) => {
        const { sent, confirmed, received } = ledger.counts();
        const attached = consumers.some((consumer) => consumer.status === 'attached') ? 'attached' : 'detached';
        return `  ${status}: producer ${connections.producer.status}, consumer ${connections.consumer.status} and ${attached}; sent ${String(sent)}, confirmed ${String(confirmed)}, received ${String(received)}`;
      }),
    )
    .subscribe((text) => {
      shown = text;
      clear();
      stdout.write(text.slice(0, Math.max(20, stdout.columns - 1)));
    });
  return {
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
