import type { Confirmation, InstanceQueue, Producer, PublishError } from 'instance-queue';
import type { Death } from '../../lib/testing/memory/dead-letter';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import { bodyIn, type Body } from './body';
import type { Findings } from './findings';
import { isBounded, isFaultless, type Plan, type ProducerPlan } from './plan';

interface Sent {
  readonly producer: number;
  readonly plan: ProducerPlan | undefined;
  readonly at: number;
  /** No queue is bound for it: the broker returns it, or, if it is not mandatory, drops it. */
  readonly lost: Lost | undefined;
  /** The block of the connection that the app saw as it sent the message. */
  readonly block: object | undefined;
  settled: number;
  /** Its outcome is not told. */
  unseen?: true;
  outcome?: Confirmation | PublishError;
}

/** What happens to a message for which no queue is bound. */
export type Lost = 'returned' | 'dropped';

/** What became of one message at the broker. */
export interface AtBroker {
  published: number;
  taken: number;
  declined: number;
  returned: number;
  copies: number;
  /** How often it left a queue for good and for nowhere. */
  gone: number;
  requeued: number;
  acked: number;
  rejected: number;
}

/** ms without faults in which a message is confirmed. */
const IN_TIME = 20_000;
/** ms that a message is on its way to the broker, at most, where nothing holds it up. */
const ON_ITS_WAY = 60;

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
  /** Per plan of a producer: how many messages were returned, as its sends and as its events tell. */
  readonly #returns = new Map<ProducerPlan, { told: number; emitted: number }>();
  #block: object | undefined;
  #closesAt = Infinity;

  constructor(universe: Universe, plan: Plan, findings: Findings) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
  }

  /** What the app sees of its client. */
  watch(client: InstanceQueue): void {
    client.health$.subscribe(({ blocked }) => {
      this.#block = blocked === undefined ? undefined : (this.#block ?? {});
    });
  }

  watchProducer(producer: Producer<Body>, plan: ProducerPlan): void {
    const returns = { told: 0, emitted: 0 };
    this.#returns.set(plan, returns);
    producer.on('returned', () => returns.emitted++);
  }

  sends(body: Body, plan: ProducerPlan | undefined, lost?: Lost): void {
    const { producer } = body;
    this.#sends.set(body.id, { producer, plan, at: this.#universe.now, lost, block: this.#block, settled: 0 });
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
    if ('code' in outcome) this.#judgeRejection(id, send, outcome);
    const broker = this.#atBroker.get(id);
    const dropped = send.lost === 'dropped' && (broker?.published ?? 0) > 0;
    // A full queue may dead-letter a message that is sent again later: then it reads as the copy of its own letter.
    const copies = this.#plan.letters && broker ? broker.copies : 0;
    if (!('code' in outcome) && !dropped && !(broker && broker.taken + copies > 0)) {
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

  /** One of several that were refused together, before any was sent. */
  refused(body: Body, error: PublishError): void {
    this.sent(body, error);
    const { published } = this.at(body.id);
    const early = ['OUTBOX_FULL', 'PUBLISH_ABORTED', 'PUBLISH_CLOSED'].includes(error.code);
    if (!early || published > 0)
      this.#findings.violate('a-batch-is-refused-whole', `${error.code}, ${String(body.id)}`);
  }

  /** Nobody will tell what became of it. */
  unseen({ id }: Body): void {
    const send = this.#sends.get(id);
    if (send) send.unseen = true;
  }

  /** Who sent a message, how and when. */
  sentAs(id: number): Pick<Sent, 'plan' | 'at'> | undefined {
    return this.#sends.get(id);
  }

  /** The app closes its client now. */
  closes(): void {
    this.#closesAt = this.#universe.now;
  }

  /** With the faults over there is no reason to time out, and `close` waits for what was sent before. */
  #judgeRejection(id: number, { at, plan }: Sent, { code, maybeDelivered }: PublishError): void {
    const { now, faultsOver } = this.#universe;
    const patience = Math.min(plan?.timeout ?? 0, plan?.expires ?? Infinity);
    if (code === 'PUBLISH_TIMEOUT' && now - at < patience - 1) {
      const what = `message ${String(id)} timed out after ${String(now - at)} ms, ${String(patience)} are allowed`;
      this.#findings.violate('a-timeout-waits-its-time', what);
    }
    if (code === 'PUBLISH_RETURNED') this.#judgeReturn(id, plan, maybeDelivered);
    const bounded = this.#plan.queues.some(isBounded);
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

  #judgeReturn(id: number, plan: ProducerPlan | undefined, maybeDelivered: boolean): void {
    const { returned } = this.at(id);
    const returns = plan && this.#returns.get(plan);
    if (returns) returns.told++;
    if (returned === 0) this.#findings.violate('a-return-comes-from-the-broker', `message ${String(id)}`);
    // Of one that was sent again, because a channel that only nacked was replaced, the first return may not have come.
    if (isFaultless(this.#plan) && returned === 1 && maybeDelivered) {
      this.#findings.violate('a-returned-message-is-in-no-queue', `message ${String(id)} is maybeDelivered`);
    }
  }

  /** A message left its queue for good. `taken`: it is in that for dead letters, if there is one. */
  died({ id }: Body, { queue, reason }: Death, taken: boolean): void {
    const spec = this.#plan.queues.find(({ name }) => name === queue);
    // A queue in which it only waits for a while hands it on or, if it is quorum, keeps it.
    if (!taken || (spec && !spec.deadLetter)) this.at(id).gone++;
    if (!spec) return;
    this.#findings.note(`broker: ${String(id)} leaves ${queue}, ${reason}`);
    const send = this.#sends.get(id);
    if (reason !== 'expired' || !send) return;
    const { expires = Infinity } = send.plan ?? {};
    const after = this.#universe.now - send.at;
    if (after < Math.min(expires, spec.messageTtl ?? Infinity) - 1) {
      const what = `message ${String(id)} expired after ${String(after)} ms, not ${String(expires)}`;
      this.#findings.violate('nothing-expires-early', what);
    }
  }

  /** The expiration of a message counts from its send, however often it is sent. */
  #judgeExpiration(id: number, { properties }: StoredMessage): void {
    const send = this.#sends.get(id);
    const { faults, socket } = this.#plan;
    if (!send || faults.some(({ kind }) => HOLDING.has(kind)) || socket) return;
    const end = this.#universe.now + (properties.expiration ?? Infinity) - send.at;
    const expected = send.plan?.expires ?? Infinity;
    if (end > expected + ON_ITS_WAY) {
      const what = `message ${String(id)} expires ${String(end)} ms after its send, not ${String(expected)}`;
      this.#findings.violate('expiration-counts-from-the-send', what);
    }
  }

  /** The broker got a message. */
  published(
    { id, producer }: Body,
    outcome: 'taken' | 'unroutable' | 'full' | 'returned',
    copy: boolean,
    message: StoredMessage,
  ): void {
    const broker = this.at(id);
    if (copy) {
      if (outcome === 'taken') broker.copies++;
      return;
    }
    this.#judgeExpiration(id, message);
    const send = this.#sends.get(id);
    if (send?.block && send.block === this.#block) {
      this.#findings.violate('nothing-is-sent-while-blocked', `message ${String(id)}`);
    }
    if (outcome === 'returned') broker.returned++;
    broker.published++;
    const first = broker.published === 1;
    if (outcome === 'taken') broker.taken++;
    else {
      broker.declined++;
      // A message for nowhere is not sent again over that.
      if (!send?.lost || outcome === 'full') this.#disordered.add(producer);
    }
    const arrived = this.#arrived.get(producer);
    // A delayed message for which the levels cannot be declared yet holds up no others.
    if (send?.plan?.delays) this.#disordered.add(producer);
    if (first && arrived) arrived.push(id);
    else if (first) this.#arrived.set(producer, [id]);
    const plan = send?.plan;
    if (plan?.onUnknown === 'reject' && broker.published - broker.declined > 1) {
      this.#findings.violate('what-is-unknown-is-not-sent-again', `message ${String(id)}`);
    }
    const told = send?.outcome;
    if (told && !('code' in told) && broker.published > 1) {
      this.#findings.violate('a-confirmed-message-is-not-sent-again', `message ${String(id)}`);
    }
  }

  at(id: number): AtBroker {
    let at = this.#atBroker.get(id);
    if (!at) this.#atBroker.set(id, (at = { ...UNKNOWN }));
    return at;
  }

  /** At the end. */
  judge(): void {
    const deletes = this.#plan.faults.some(({ kind }) => kind === 'queue-deleted');
    const ready = new Set(
      this.#universe.broker.vhost.queues.flatMap(({ ready }) =>
        ready.map(({ message }) => bodyIn(message.content)?.id),
      ),
    );
    for (const [id, { settled, outcome, unseen, lost }] of this.#sends) {
      if (unseen) continue;
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
      } else if (!deletes && !lost && broker && broker.acked + broker.rejected + broker.gone === 0 && !ready.has(id)) {
        this.#findings.violate('nothing-confirmed-is-missing', `message ${String(id)}`);
      }
    }
    for (const [{ by }, { told, emitted }] of this.#returns) {
      if (by !== 'publish-all' && told !== emitted) {
        const what = `${String(told)} sends were rejected, ${String(emitted)} events came`;
        this.#findings.violate('a-return-is-one-event', what);
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

const UNKNOWN: AtBroker = {
  published: 0,
  taken: 0,
  declined: 0,
  returned: 0,
  copies: 0,
  gone: 0,
  requeued: 0,
  acked: 0,
  rejected: 0,
};

/** Faults during which what is sent is on its way for long. */
const HOLDING: ReadonlySet<string> = new Set(['silence', 'alarm', 'memory-limit']);
