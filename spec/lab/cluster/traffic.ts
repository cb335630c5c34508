import { InstanceQueue, handle, type QueueSpec } from 'instance-queue';
import { Subject, interval, lastValueFrom, takeUntil } from 'rxjs';
import { eventually } from '../../support/waiting';
import { Ledger } from './ledger';

/** Confirmed messages a second. */
const RATE = 250;
/** ms for messages in flight when sending stops: longer than the timeout of a send, so that any remaining one hangs. */
const PATIENCE = 40_000;

/** One instance of a service: it consumes messages and records them under its name. */
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
  // `end` rejects with it.
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

/** Sends numbered messages to a quorum queue at a steady rate, until it is stopped. */
export class Traffic {
  readonly ledger = new Ledger();
  readonly spec: QueueSpec;
  readonly sender: InstanceQueue;
  readonly #stop = new Subject<void>();

  constructor(urls: readonly string[], spec: Omit<QueueSpec, 'type'>) {
    this.spec = { ...spec, type: 'quorum' };
    this.sender = new InstanceQueue({ url: urls, name: 'sender', topology: { queues: [this.spec] } });
  }

  /** Starts to send. Resolves when the first message has been received. */
  async start(): Promise<void> {
    const began = performance.now();
    let sent = 0;
    interval(1000 / RATE)
      .pipe(takeUntil(this.#stop))
      .subscribe(() => {
        // Compensates for late timers.
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

  /** Stops sending, and waits for the messages in flight. The ledger is final then. */
  async stop(): Promise<void> {
    this.#stop.next();
    // After the time limit, the ledger shows what hangs and what is lost.
    await eventually(() => this.ledger.quiet, PATIENCE).catch(() => undefined);
  }
}
