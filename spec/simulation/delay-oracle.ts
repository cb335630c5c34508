import type { Death } from '../../lib/testing/memory/dead-letter';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Body } from './body';
import type { Findings } from './findings';
import { delayOf, isBounded, isFaultless, type Plan, type ProducerPlan } from './plan';

/** The queues in which delayed messages wait. */
const LEVELS = 'instance-queue.delay.';
/** ms by which a broker without faults may be late: a message passes through some queues, and timers of one moment run in turn. */
const SLACK = 60;

/** What was sent, and when. */
interface Sent {
  readonly plan: ProducerPlan | undefined;
  readonly at: number;
}

/** The rules about messages that wait at the broker: delayed ones, and those that are to be retried. */
export class DelayOracle {
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #findings: Findings;
  readonly #sent: (id: number) => Sent | undefined;
  /** Is the broker always there, and does every queue take its messages? */
  #isSteady: boolean;
  /** Per message: when it was published last, and when it left a queue of the delays last. */
  readonly #published = new Map<number, number>();
  readonly #left = new Map<number, number>();
  /** Until when copies of failed messages have to wait. */
  readonly #retries = new WeakMap<StoredMessage, number>();

  /** `sent`: what the app said as it sent a message. */
  constructor(universe: Universe, plan: Plan, findings: Findings, sent: (id: number) => Sent | undefined) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
    this.#sent = sent;
    this.#isSteady = isFaultless(plan) && !plan.queues.some(isBounded);
  }

  /** The broker got a message, or a copy of one that is to be retried. */
  published({ id }: Body, message: StoredMessage, copy: boolean): void {
    const { now } = this.#universe;
    if (!copy) {
      this.#published.set(id, now);
      return;
    }
    const [, origin, delay] = /^(.*)\.retry\.(\d+)/.exec(message.routingKey) ?? [];
    if (origin === undefined) return;
    this.#retries.set(message, now + Number(delay));
    const { plan: sender } = this.#sent(id) ?? {};
    const spec = this.#plan.queues.find(({ name }) => name === origin);
    // A consumer that declares nothing does not know what its queue does with a retry.
    const isForeign = this.#plan.foreign !== undefined && this.#plan.queues[this.#plan.foreign.queue] === spec;
    const retries = this.#plan.consumers.filter(({ queue }) => this.#plan.queues[queue] === spec);
    const failures = Math.max(...retries.map(({ retry }) => (retry?.attempts ?? Infinity) - 1));
    if (spec?.delayedRetry && !isForeign && failures <= (spec.deliveryLimit ?? 0)) {
      this.#findings.violate('a-retry-in-its-queue-makes-no-copy', `message ${String(id)}`);
    }
    const known = retries.some(({ retry }) => (retry?.delay ?? [100, 1000]).includes(Number(delay)));
    if (sender && !known)
      this.#findings.violate('a-retry-waits-its-time', `message ${String(id)} waits ${String(delay)} ms`);
  }

  /** A message left a queue for good. */
  died({ id }: Body, message: StoredMessage, { queue, reason }: Death): void {
    const { now } = this.#universe;
    if (queue.startsWith(LEVELS)) this.#left.set(id, now);
    const until = this.#retries.get(message);
    if (until === undefined || reason !== 'expired' || !this.#isSteady) return;
    if (now > until + SLACK) {
      this.#findings.violate('a-retry-waits-its-time', `message ${String(id)} is ${String(now - until)} ms late`);
    }
  }

  /** The broker hands a message to a consumer. */
  delivered({ id }: Body): void {
    const sent = this.#sent(id);
    const delay = delayOf(sent?.plan, id);
    if (!sent || delay === undefined) return;
    const { now } = this.#universe;
    const due = sent.at + delay;
    if (now < due) this.#findings.violate('a-delay-is-never-early', `message ${String(id)}, ${String(due - now)} ms`);
    const left = this.#left.get(id) ?? 0;
    const latest = Math.max(due, this.#published.get(id) ?? 0) + resolutionOf(delay) + SLACK;
    if (this.#isSteady && left > latest) {
      this.#findings.violate('a-delay-is-kept', `message ${String(id)} is ${String(left - due)} ms late`);
    }
  }

  /** The app closes its client: without a connection the broker in memory rests. */
  closes(): void {
    this.#isSteady = false;
  }

  /** Everything had time to arrive. */
  calm(): void {
    // In the queue of stranded messages is what is left over of a deleted queue, or where its level was; and what was sent on trust, since
    // the way to its queue must not be declared.
    if (this.#plan.faults.some(({ kind }) => kind === 'queue-deleted' || kind === 'denied')) return;
    // With a queue that goes when nobody uses it any more goes the way of what is delayed for it.
    const mayStrand = this.#plan.queues.some(({ autoDelete, expires }) => autoDelete === true || expires !== undefined);
    for (const { name, ready } of this.#universe.broker.vhost.queues) {
      if (!name.startsWith(LEVELS) || ready.length === 0 || (mayStrand && name.endsWith('.stranded'))) continue;
      this.#findings.violate('nothing-waits-beyond-its-delay', `${String(ready.length)} messages are in ${name}`);
    }
  }
}

/** ms by which a delay is rounded up, at most, as the options say. */
const resolutionOf = (delay: number): number => Math.min(512, Math.max(16, delay / 64));
