import { handle, type Delivery, type InstanceQueue } from 'instance-queue';
import { quantile } from '../bench/statistics';

/** ms; log-uniform, so that each order of magnitude has its share. */
export function randomDelays(count: number, from: number, to: number): readonly number[] {
  return Array.from({ length: count }, () => Math.floor(from * (to / from) ** Math.random()));
}

/** What became of delayed messages. Lateness in ms. */
export interface Lateness {
  readonly sent: number;
  readonly lost: number;
  readonly early: number;
  readonly duplicates: number;
  /** How many came more than a second late. */
  readonly late: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

const SECOND = 1000;

interface Body {
  readonly i: number;
}
/** The number of messages that do not count. */
const WARM_UP = -1;

/**
 * Has all levels up to this delay declared, which happens once per virtual host. RabbitMQ before 3.12.11 starts the server of a quorum queue
 * wrongly on a node that was down when the queue was declared: when it leads, what the queue sends is understood by nobody.
 * https://github.com/rabbitmq/rabbitmq-server/issues/10007
 */
export async function warmUp(queue: InstanceQueue, name: string, longest: number): Promise<void> {
  const body: Body = { i: WARM_UP };
  for (let delay = 100; delay < longest; delay *= 2) await queue.send({ queue: name, body, delay });
  await queue.send({ queue: name, body, delay: longest });
}

/** Sends messages and keeps account of when they were due and when they came. Both by the clock of this process. */
export class DelayLedger {
  readonly #due = new Map<number, number>();
  readonly #late: number[] = [];
  #duplicates = 0;
  #sent = 0;

  /** Resolves when the broker has confirmed the message. Its delay begins with this call. */
  async send(queue: InstanceQueue, name: string, delay: number): Promise<void> {
    const i = this.#sent++;
    const body: Body = { i };
    this.#due.set(i, performance.now() + delay);
    await queue.send({ queue: name, body, delay }, { timeout: 120_000 });
  }

  /** Takes note of every message of a queue, until unsubscribed. */
  receive(queue: InstanceQueue, name: string, onError: (error: unknown) => void): { unsubscribe(): void } {
    const note = ({ body }: Pick<Delivery<Body>, 'body'>): void => {
      const due = this.#due.get(body.i);
      if (body.i === WARM_UP) return;
      if (due === undefined) this.#duplicates++;
      else {
        this.#due.delete(body.i);
        this.#late.push(performance.now() - due);
      }
    };
    return queue.consume<Body>({ queue: name, prefetch: 500 }).pipe(handle(note)).subscribe({ error: onError });
  }

  get outstanding(): number {
    return this.#due.size;
  }

  get lateness(): Lateness {
    return {
      sent: this.#sent,
      lost: this.#due.size,
      early: this.#late.filter((late) => late < 0).length,
      duplicates: this.#duplicates,
      late: this.#late.filter((late) => late > SECOND).length,
      p50: quantile(this.#late, 0.5),
      p99: quantile(this.#late, 0.99),
      most: this.#late.reduce((a, b) => Math.max(a, b), 0),
    };
  }
}

/** Sends one message per delay, at this rate, and resolves when all have come, or none has for longer than `patience` after the last was due. */
export async function delays(
  queue: InstanceQueue,
  name: string,
  given: readonly number[],
  { rate, patience = 60_000 }: { readonly rate: number; readonly patience?: number },
): Promise<Lateness> {
  const ledger = new DelayLedger();
  const failures: unknown[] = [];
  const receiver = ledger.receive(queue, name, (error) => failures.push(error));
  await warmUp(queue, name, Math.max(...given));
  const sends: Promise<void>[] = [];
  const began = performance.now();
  for (const delay of given) {
    const ahead = began + (sends.length * 1000) / rate - performance.now();
    if (ahead > 5) await pause(ahead);
    sends.push(ledger.send(queue, name, delay));
  }
  await Promise.all(sends);
  const until = performance.now() + Math.max(...given) + patience;
  while (ledger.outstanding > 0 && performance.now() < until && failures.length === 0) await pause(100);
  receiver.unsubscribe();
  if (failures.length > 0) throw failures[0];
  return ledger.lateness;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The goal: nothing lost, nothing early, and 99 of 100 late by a second at most. */
export const complaint = (what: string, { lost, early, p99 }: Lateness): string[] => [
  ...(lost > 0 ? [`${what}: ${String(lost)} lost`] : []),
  ...(early > 0 ? [`${what}: ${String(early)} early`] : []),
  ...(p99 > SECOND ? [`${what}: one in a hundred is late by ${p99.toFixed(0)} ms or more`] : []),
];

export function line(what: string, { sent, lost, early, duplicates, late, p50, p99, most }: Lateness): string {
  const figures = { sent, lost, early, duplicates, late, p50, p99, most };
  return `${what.padEnd(34)} ${Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toFixed(0)}`)
    .join('   ')}`;
}
