import { InstanceQueue, handle, type QueueSpec } from 'instance-queue';
import { Subject, interval, lastValueFrom, takeUntil } from 'rxjs';
import { eventually } from '../../support/waiting';
import { Ledger } from './ledger';

/** Confirmed messages a second. */
const RATE = 250;
/** ms for what is on its way when the sending stops: longer than the timeout of a send, so that what is left then hangs. */
const PATIENCE = 40_000;

/** One instance of a service: it takes messages out of the queue and writes them down under its name. */
export interface Receiver {
  readonly name: string;
  readonly queue: InstanceQueue;
  /** Drains and closes. */
  end(): Promise<void>;
}

export function receiver(name: string, urls: readonly string[], spec: QueueSpec, ledger: Ledger): Receiver {
  const queue = new InstanceQueue({ url: urls, name });
  const until = new Subject<void>();
  const received = lastValueFrom(
    queue
      .consume<number>({ queue: spec, prefetch: 50, until })
      .pipe(handle((message) => ledger.receive(message, name))),
    { defaultValue: undefined },
  );
  // Whoever ends it hears of it.
  received.catch(() => undefined);
  return {
    name,
    queue,
    async end() {
      until.next();
      await received;
      await queue.close();
    },
  };
}

/** Numbered messages into a quorum queue at a steady pace, until stopped. */
export class Traffic {
  readonly ledger = new Ledger();
  readonly spec: QueueSpec;
  readonly sender: InstanceQueue;
  readonly #stop = new Subject<void>();

  constructor(urls: readonly string[], spec: Omit<QueueSpec, 'type'>) {
    this.spec = { ...spec, type: 'quorum' };
    this.sender = new InstanceQueue({ url: urls, name: 'sender', topology: { queues: [this.spec] } });
  }

  /** Begins to send; resolves when the first message has gone all the way. */
  async start(): Promise<void> {
    const began = performance.now();
    let sent = 0;
    interval(1000 / RATE)
      .pipe(takeUntil(this.#stop))
      .subscribe(() => {
        // A timer that comes late makes up for it.
        for (const due = ((performance.now() - began) * RATE) / 1000; sent < due; sent++) this.#send();
      });
    await this.ledger.gap(began);
  }

  #send(): void {
    const { ledger } = this;
    const n = ledger.send();
    this.sender.send({ queue: this.spec.name, body: n }).then(
      (confirmation) => ledger.confirm(n, confirmation),
      (error: unknown) => ledger.fail(n, error),
    );
  }

  /** Sends no more, and waits for what is on its way; what the ledger then says of it is final. */
  async stop(): Promise<void> {
    this.#stop.next();
    // Not so in time: the ledger tells what hangs and what is lost.
    await eventually(() => this.ledger.quiet, PATIENCE).catch(() => undefined);
  }
}
