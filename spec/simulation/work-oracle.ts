import type { Message } from 'instance-queue';
import type { Body } from './body';
import type { Findings } from './findings';
import { isFaultless, timesOut, type Plan } from './plan';
import type { AtBroker } from './send-oracle';

/** ms of `drainTimeout` in which acks arrive that were given before the close. */
const PATIENT = 5000;

/** The rules about work: how deliveries are settled, one at a time per key, and nothing kept by what has ended. */
export class WorkOracle {
  readonly #findings: Findings;
  readonly #plan: Plan;
  readonly #at: (id: number) => AtBroker;
  /** Per message: how often its work succeeded, and how often it failed. */
  readonly #worked = new Map<number, { done: number; failed: number; unread: number }>();
  readonly #running = new Map<string, number>();
  #acks = 0;

  /** `at`: what became of a message at the broker. */
  constructor(plan: Plan, findings: Findings, at: (id: number) => AtBroker) {
    this.#plan = plan;
    this.#findings = findings;
    this.#at = at;
  }

  /** Work on a message starts. Returns whether it is the only one of its key in that consumer. */
  starts(consumer: number, { body, redelivered }: Message<Body>, keyed: boolean): void {
    this.#findings.note(`app: consumer ${String(consumer)} starts ${String(body.id)}${redelivered ? ' again' : ''}`);
    const key = `${String(consumer)}/${keyed ? String(body.key) : ''}`;
    const running = 1 + (this.#running.get(key) ?? 0);
    this.#running.set(key, running);
    if (keyed && running > 1)
      this.#findings.violate('one-at-a-time-per-key', `consumer ${String(consumer)}, key ${String(body.key)}`);
  }

  /** The app has decided about a message, or its work does not count any more. */
  ends(consumer: number, { body }: Message<Body>, keyed: boolean, how: 'done' | 'failed' | 'aborted'): void {
    this.#findings.note(`app: consumer ${String(consumer)} ends ${String(body.id)}: ${how}`);
    const key = `${String(consumer)}/${keyed ? String(body.key) : ''}`;
    this.#running.set(key, (this.#running.get(key) ?? 1) - 1);
    if (how !== 'aborted') this.decides(body, how);
  }

  /** `unread`: it could not be read, and is to be put back. */
  decides({ id }: Body, how: 'done' | 'failed' | 'unread'): void {
    const worked = this.#worked.get(id) ?? { done: 0, failed: 0, unread: 0 };
    worked[how]++;
    this.#worked.set(id, worked);
  }

  /** The broker was told about a delivery. */
  settled({ id }: Body, how: string): void {
    if (how === 'ack') this.#acks++;
    const broker = this.#at(id);
    const { done, failed, unread } = this.#worked.get(id) ?? { done: 0, failed: 0, unread: 0 };
    if (how === 'ack') {
      broker.acked++;
      if (broker.acked > done + broker.copies) {
        this.#findings.violate(
          'acked-is-worked-on',
          `message ${String(id)} was acked ${String(broker.acked)} times; work on it ended ${String(done)} times`,
        );
      }
    }
    if (how === 'reject') {
      broker.rejected++;
      if (broker.rejected > failed) this.#findings.violate('rejected-has-failed', `message ${String(id)}`);
    }
    // A release does not count towards the delivery limit; this does.
    if (how === 'requeue' && ++broker.requeued > failed + unread) {
      this.#findings.violate('requeued-has-failed', `message ${String(id)}`);
    }
  }

  /** At the end. `acked`: how many acks the client counts. */
  judge(acked: number): void {
    const { readers, partitions, drainTimeout } = this.#plan;
    // The acks of a stream are credits, sent in order; other processes count their own.
    if (
      isFaultless(this.#plan) &&
      !readers &&
      !partitions &&
      !timesOut(this.#plan) &&
      drainTimeout >= PATIENT &&
      acked !== this.#acks
    ) {
      const what = `the client counts ${String(acked)} acks, the broker got ${String(this.#acks)}`;
      this.#findings.violate('without-faults-acks-arrive', what);
    }
  }
}
