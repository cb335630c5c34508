import type { Confirmation, PublishError } from 'instance-queue';
import type { Universe } from '../../lib/testing/simulation/universe';
import { isBody, type Body } from './body';
import type { Findings } from './findings';
import type { Plan, ProducerPlan } from './plan';

interface Sent {
  readonly producer: number;
  readonly plan: ProducerPlan | undefined;
  readonly at: number;
  settled: number;
  outcome?: Confirmation | PublishError;
}

/** What became of one message at the broker. */
export interface AtBroker {
  published: number;
  taken: number;
  declined: number;
  copies: number;
  acked: number;
  rejected: number;
}

/** ms without faults in which a message is confirmed. */
const IN_TIME = 20_000;

/** The rules about sends: each settles once and tells the truth, in time and in order. */
export class SendOracle {
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #findings: Findings;
  readonly #sends = new Map<number, Sent>();
  readonly #atBroker = new Map<number, AtBroker>();
  /** Per producer: the messages in the order in which the broker got them first. */
  readonly #arrived = new Map<number, number[]>();
  readonly #disordered = new Set<number>();
  #closesAt = Infinity;

  constructor(universe: Universe, plan: Plan, findings: Findings) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
  }

  sends(body: Body, plan: ProducerPlan | undefined): void {
    this.#sends.set(body.id, { producer: body.producer, plan, at: this.#universe.now, settled: 0 });
    this.#findings.note(`app: sends ${String(body.id)}`);
  }

  sent({ id }: Body, outcome: Confirmation | PublishError): void {
    const send = this.#sends.get(id);
    if (!send) return;
    send.settled++;
    send.outcome = outcome;
    this.#findings.note(
      `app: ${String(id)} ${'code' in outcome ? `rejected ${outcome.code} maybeDelivered=${String(outcome.maybeDelivered)}` : `confirmed, attempts ${String(outcome.attempts)}, epoch ${String(outcome.epoch)}`}`,
    );
    if ('code' in outcome) this.#judgeRejection(id, send, outcome.code);
    const broker = this.#atBroker.get(id);
    if (!('code' in outcome) && !(broker && broker.taken > 0)) {
      this.#findings.violate(
        'a-confirmed-message-is-at-the-broker',
        `message ${String(id)} was confirmed, and the broker never took it`,
      );
    }
    if (!('code' in outcome) && broker && broker.published > outcome.attempts) {
      this.#findings.violate(
        'attempts-are-counted',
        `message ${String(id)} was published ${String(broker.published)} times in ${String(outcome.attempts)} attempts`,
      );
    }
    if (send.settled > 1) this.#findings.violate('a-send-settles-once', `message ${String(id)} settled twice`);
  }

  /** The app closes its client now. */
  closes(): void {
    this.#closesAt = this.#universe.now;
  }

  /** With the faults over there is no reason to time out, and `close` waits for what was sent before. */
  #judgeRejection(id: number, { at, plan }: Sent, code: string): void {
    const { now, faultsOver } = this.#universe;
    const bounded = this.#plan.queues.some(({ maxLength }) => maxLength !== undefined);
    if (code === 'PUBLISH_TIMEOUT' && !bounded && now - Math.max(at, faultsOver) > IN_TIME) {
      this.#findings.violate('a-send-is-confirmed-in-time', `message ${String(id)} of ${String(at)} timed out`);
    }
    const closesAt = Math.min(this.#closesAt, plan?.closeAt ?? Infinity);
    if (code === 'PUBLISH_CLOSED' && at < closesAt && now - closesAt < this.#plan.drainTimeout - 10) {
      this.#findings.violate(
        'close-flushes',
        `message ${String(id)} was rejected ${String(now - closesAt)} ms after the close`,
      );
    }
  }

  /** The broker got a message. */
  published({ id, producer }: Body, outcome: 'taken' | 'unroutable' | 'full' | 'returned', copy: boolean): void {
    const broker = this.at(id);
    if (copy) {
      if (outcome === 'taken') broker.copies++;
      return;
    }
    broker.published++;
    const first = broker.published === 1;
    if (outcome === 'taken') broker.taken++;
    else {
      broker.declined++;
      this.#disordered.add(producer);
    }
    if (first) this.#arrived.set(producer, [...(this.#arrived.get(producer) ?? []), id]);
    const plan = this.#sends.get(id)?.plan;
    if (plan?.onUnknown === 'reject' && broker.published - broker.declined > 1) {
      this.#findings.violate('what-is-unknown-is-not-sent-again', `message ${String(id)}`);
    }
    const send = this.#sends.get(id);
    // Over a full socket, what a replaced channel had written may arrive behind the attempt on the next channel.
    const told = send?.outcome;
    const allowed = this.#plan.socket && told && !('code' in told) ? told.attempts : 1;
    if (told && !('code' in told) && broker.published > allowed) {
      this.#findings.violate('a-confirmed-message-is-not-sent-again', `message ${String(id)}`);
    }
  }

  at(id: number): AtBroker {
    let at = this.#atBroker.get(id);
    if (!at) this.#atBroker.set(id, (at = { published: 0, taken: 0, declined: 0, copies: 0, acked: 0, rejected: 0 }));
    return at;
  }

  /** At the end. */
  judge(): void {
    const deletes = this.#plan.faults.some(({ kind }) => kind === 'queue-deleted');
    const ready = new Set(
      this.#universe.broker.queues.flatMap(({ messages }) => messages.map(({ body }) => (isBody(body) ? body.id : -1))),
    );
    for (const [id, { settled, outcome }] of this.#sends) {
      const broker = this.#atBroker.get(id);
      if (settled === 0 || !outcome) {
        this.#findings.violate('a-send-settles-once', `message ${String(id)} never settled`);
      } else if ('code' in outcome) {
        if (!outcome.maybeDelivered && broker && broker.taken > 0) {
          this.#findings.violate(
            'maybeDelivered-tells-the-truth',
            `message ${String(id)}: ${outcome.code}, not maybeDelivered, and the broker took it`,
          );
        }
      } else if (!deletes && broker && broker.acked + broker.rejected === 0 && !ready.has(id)) {
        this.#findings.violate('nothing-confirmed-is-missing', `message ${String(id)}`);
      }
    }
    for (const [producer, arrived] of this.#arrived) {
      if (this.#disordered.has(producer)) continue;
      const at = arrived.findIndex((id, i) => id < (arrived[i - 1] ?? 0));
      if (at !== -1)
        this.#findings.violate(
          'order-per-producer',
          `producer ${String(producer)}: ${arrived.slice(Math.max(0, at - 3), at + 2).join()}`,
        );
    }
  }
}
