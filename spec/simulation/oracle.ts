import type { Confirmation, InstanceQueue, Message, Producer, PublishError } from 'instance-queue';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Plan, ProducerPlan } from './plan';

/** A rule of the oracle that was broken. */
export interface Violation {
  readonly rule: string;
  readonly what: string;
}

/** What a message of the simulated app says of itself. */
export interface Body {
  readonly id: number;
  readonly producer: number;
  readonly key: number;
  /** Makes it larger. */
  readonly padding?: string;
}

interface Sent {
  readonly producer: number;
  readonly plan: ProducerPlan | undefined;
  readonly at: number;
  settled: number;
  outcome?: Confirmation | PublishError;
}

/** What became of one message at the broker. */
interface AtBroker {
  published: number;
  taken: number;
  declined: number;
  copies: number;
  acked: number;
  rejected: number;
}

/** ms without faults in which a message is confirmed. */
const IN_TIME = 20_000;

const isBody = (body: unknown): body is Body => typeof body === 'object' && body !== null && 'id' in body;
const parse = (content: Buffer): Body | undefined => {
  try {
    const body: unknown = JSON.parse(content.toString());
    return isBody(body) ? body : undefined;
  } catch {
    return undefined;
  }
};

/**
 * Judges a run, and knows nothing of the library: it sees what the app sees, and what happens at the broker. Every rule has a
 * name; the first violation of a rule is enough.
 */
export class Oracle {
  readonly violations: Violation[] = [];
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #sends = new Map<number, Sent>();
  readonly #atBroker = new Map<number, AtBroker>();
  /** Per message: how often its work succeeded, and how often it failed. */
  readonly #worked = new Map<number, { done: number; failed: number }>();
  /** Per producer: the messages in the order in which the broker got them first. */
  readonly #arrived = new Map<number, number[]>();
  readonly #disordered = new Set<number>();
  readonly #running = new Map<string, number>();
  #closesAt = Infinity;
  #trace = 0x811c9dc5;

  constructor(universe: Universe, plan: Plan) {
    this.#universe = universe;
    this.#plan = plan;
    const note = (event: string): void => {
      this.note(event);
    };
    universe.broker.vhost.observer = {
      published: ({ content, routingKey, exchange }, outcome) => {
        const body = parse(content);
        note(
          `broker: ${exchange}/${routingKey.startsWith('amq.') ? 'reply' : routingKey} gets ${String(body?.id)}: ${outcome}`,
        );
        if (body) this.#published(body, outcome, routingKey.includes('.retry.'));
      },
      delivered: (_, tag, { content }, queue) => {
        note(`broker: ${queue} delivers ${String(parse(content)?.id)} as ${String(tag)}`);
      },
      settled: (_, tag, { content }, how) => {
        const body = parse(content);
        note(`broker: ${how} of ${String(body?.id)}, tag ${String(tag)}`);
        if (body) this.#settled(body, how);
      },
      refused: (refusal) => {
        note(`broker: refuses, ${refusal.message}`);
        const timesOut = this.#plan.queues.some(({ consumerTimeout }) => consumerTimeout !== undefined);
        if (refusal.text.includes('unknown delivery tag') && !timesOut) {
          this.violate('settled-once-on-its-channel', refusal.message);
        }
      },
    };
  }

  /** A number that depends on everything that happened. */
  get trace(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, '0');
  }

  note(event: string): void {
    this.#universe.note(event);
    const line = `${this.#universe.now.toFixed(3)} ${event}`;
    for (let i = 0; i < line.length; i++) this.#trace = Math.imul(this.#trace ^ line.charCodeAt(i), 0x01000193);
  }

  violate(rule: string, what: string): void {
    if (this.violations.some((one) => one.rule === rule)) return;
    this.note(`VIOLATION of ${rule}: ${what}`);
    this.violations.push({ rule, what });
  }

  // ── what the app sees ──

  sends(body: Body, plan: ProducerPlan | undefined): void {
    this.#sends.set(body.id, { producer: body.producer, plan, at: this.#universe.now, settled: 0 });
    this.note(`app: sends ${String(body.id)}`);
  }

  sent({ id }: Body, outcome: Confirmation | PublishError): void {
    const send = this.#sends.get(id);
    if (!send) return;
    send.settled++;
    send.outcome = outcome;
    this.note(
      `app: ${String(id)} ${'code' in outcome ? `rejected ${outcome.code} maybeDelivered=${String(outcome.maybeDelivered)}` : `confirmed, attempts ${String(outcome.attempts)}, epoch ${String(outcome.epoch)}`}`,
    );
    if ('code' in outcome) this.#judgeRejection(id, send, outcome.code);
    const broker = this.#atBroker.get(id);
    if (!('code' in outcome) && !(broker && broker.taken > 0)) {
      this.violate(
        'a-confirmed-message-is-at-the-broker',
        `message ${String(id)} was confirmed, and the broker never took it`,
      );
    }
    if (!('code' in outcome) && broker && broker.published > outcome.attempts) {
      this.violate(
        'attempts-are-counted',
        `message ${String(id)} was published ${String(broker.published)} times in ${String(outcome.attempts)} attempts`,
      );
    }
    if (send.settled > 1) this.violate('a-send-settles-once', `message ${String(id)} settled twice`);
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
      this.violate('a-send-is-confirmed-in-time', `message ${String(id)} of ${String(at)} timed out`);
    }
    const closesAt = Math.min(this.#closesAt, plan?.closeAt ?? Infinity);
    if (code === 'PUBLISH_CLOSED' && at < closesAt && now - closesAt < this.#plan.drainTimeout - 10) {
      this.violate('close-flushes', `message ${String(id)} was rejected ${String(now - closesAt)} ms after the close`);
    }
  }

  /** Work on a message starts. Returns whether it is the only one of its key in that consumer. */
  starts(consumer: number, { body, redelivered }: Message<Body>, keyed: boolean): void {
    this.note(`app: consumer ${String(consumer)} starts ${String(body.id)}${redelivered ? ' again' : ''}`);
    const key = `${String(consumer)}/${keyed ? String(body.key) : ''}`;
    const running = 1 + (this.#running.get(key) ?? 0);
    this.#running.set(key, running);
    if (keyed && running > 1)
      this.violate('one-at-a-time-per-key', `consumer ${String(consumer)}, key ${String(body.key)}`);
  }

  /** The app has decided about a message, or its work does not count any more. */
  ends(consumer: number, { body }: Message<Body>, keyed: boolean, how: 'done' | 'failed' | 'aborted'): void {
    this.note(`app: consumer ${String(consumer)} ends ${String(body.id)}: ${how}`);
    const key = `${String(consumer)}/${keyed ? String(body.key) : ''}`;
    this.#running.set(key, (this.#running.get(key) ?? 1) - 1);
    if (how !== 'aborted') this.decides(body, how);
  }

  decides({ id }: Body, how: 'done' | 'failed'): void {
    const worked = this.#worked.get(id) ?? { done: 0, failed: 0 };
    worked[how]++;
    this.#worked.set(id, worked);
  }

  runningIn(consumer: number): number {
    let sum = 0;
    for (const [key, running] of this.#running) if (key.startsWith(`${String(consumer)}/`)) sum += running;
    return sum;
  }

  /** All states of a client, as they come. */
  watch(client: InstanceQueue): void {
    for (const role of ['producer', 'consumer'] as const) {
      let before = client.state[role];
      let epoch = 0;
      client.state$.subscribe((both) => {
        const state = both[role];
        if (state === before) return;
        this.note(`app: ${role} connection ${state.status}`);
        if (!EDGES[before.status]?.includes(state.status)) {
          this.violate('states-along-legal-edges', `${role} connection from ${before.status} to ${state.status}`);
        }
        if (state.status === 'connected') {
          const renewed = before.status === 'connected';
          if (state.epoch !== epoch + (renewed ? 0 : 1))
            this.violate('epochs-count', `${String(epoch)} to ${String(state.epoch)}`);
          epoch = state.epoch;
        }
        before = state;
      });
    }
    client.health$.subscribe((health) => {
      this.note(`app: health ${health.status}`);
      const { producer, consumer } = health.connections;
      const recovering =
        [producer, consumer].some(({ status }) => status === 'reconnecting' || status === 'closed') ||
        health.consumers.some(({ status }) => status === 'detached' || status === 'stopped') ||
        health.blocked !== undefined;
      if (health.status === 'up' && recovering)
        this.violate('health-agrees-with-the-truth', 'up while something recovers');
    });
  }

  watchProducer(producer: Producer, { limit, overflow, maxInFlight }: ProducerPlan): void {
    producer.outbox$.subscribe(({ queued, unconfirmed }) => {
      if (unconfirmed > maxInFlight)
        this.violate('in-flight-is-bounded', `${String(unconfirmed)} > ${String(maxInFlight)}`);
      if (overflow !== 'wait' && queued > limit + maxInFlight)
        this.violate('outbox-is-bounded', `${String(queued)} > ${String(limit)}`);
    });
  }

  // ── at the end ──

  /** All faults are over, and everything had time to mend. */
  calm(client: InstanceQueue): void {
    const { health } = client;
    const stopped = health.consumers.filter(({ status }) => status === 'stopped');
    if (health.status !== 'up' && stopped.length === 0 && health.connections.consumer.status !== 'disconnected') {
      const producers = health.producers.map(({ status }) => status).join();
      this.violate(
        'nothing-is-stuck',
        `health is ${health.status} (${health.connections.producer.status}, ${health.connections.consumer.status}, producers ${producers})`,
      );
    }
    if (health.consumers.some(({ status }) => status === 'paused')) {
      this.violate('nothing-is-stuck', 'a consumer is still paused');
    }
    const { broker } = this.#universe;
    for (const { name, unsettled, consumers } of broker.queues) {
      if (unsettled > 0 && client.metrics.inFlight === 0) {
        this.violate(
          'nothing-is-stuck',
          `${String(unsettled)} deliveries of ${name} are settled here and not at the broker (${String(consumers)} consumers)`,
        );
      }
    }
  }

  closed(client: InstanceQueue, waiting: number): void {
    const { metrics, state } = client;
    if (state.producer.status !== 'closed' || state.consumer.status !== 'closed') {
      this.violate('close-ends-all', `${state.producer.status}, ${state.consumer.status}`);
    }
    if (metrics.inFlight !== 0 || metrics.outbox.queued !== 0 || metrics.outbox.unconfirmed !== 0) {
      this.violate('nothing-is-left-after-close', JSON.stringify(metrics));
    }
    const settled = metrics.acked + metrics.requeued + metrics.released + metrics.rejected + metrics.lost;
    if (metrics.delivered !== settled) {
      this.violate(
        'every-delivery-is-counted-once',
        `${String(metrics.delivered)} delivered, ${String(settled)} settled or lost`,
      );
    }
    if (waiting > 0) this.violate('no-timer-is-left-after-close', `${String(waiting)} timers`);
    if (this.#universe.broker.queues.some(({ consumers, unsettled }) => consumers + unsettled > 0)) {
      this.violate('nothing-is-left-after-close', 'the broker still has consumers or unsettled deliveries');
    }
    this.#judgeSends();
  }

  #judgeSends(): void {
    const deletes = this.#plan.faults.some(({ kind }) => kind === 'queue-deleted');
    const ready = new Set(
      this.#universe.broker.queues.flatMap(({ messages }) => messages.map(({ body }) => (isBody(body) ? body.id : -1))),
    );
    for (const [id, { settled, outcome }] of this.#sends) {
      const broker = this.#atBroker.get(id);
      if (settled === 0 || !outcome) {
        this.violate('a-send-settles-once', `message ${String(id)} never settled`);
      } else if ('code' in outcome) {
        if (!outcome.maybeDelivered && broker && broker.taken > 0) {
          this.violate(
            'maybeDelivered-tells-the-truth',
            `message ${String(id)}: ${outcome.code}, not maybeDelivered, and the broker took it`,
          );
        }
      } else if (!deletes && broker && broker.acked + broker.rejected === 0 && !ready.has(id)) {
        this.violate('nothing-confirmed-is-missing', `message ${String(id)}`);
      }
    }
    for (const [producer, arrived] of this.#arrived) {
      if (this.#disordered.has(producer)) continue;
      const at = arrived.findIndex((id, i) => id < (arrived[i - 1] ?? 0));
      if (at !== -1)
        this.violate(
          'order-per-producer',
          `producer ${String(producer)}: ${arrived.slice(Math.max(0, at - 3), at + 2).join()}`,
        );
    }
  }

  // ── what happens at the broker ──

  #published({ id, producer }: Body, outcome: 'taken' | 'unroutable' | 'full' | 'returned', copy: boolean): void {
    const broker = this.#at(id);
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
      this.violate('what-is-unknown-is-not-sent-again', `message ${String(id)}`);
    }
    const send = this.#sends.get(id);
    if (send?.outcome && broker.published > 1 && !('code' in send.outcome)) {
      this.violate('a-confirmed-message-is-not-sent-again', `message ${String(id)}`);
    }
  }

  #settled({ id }: Body, how: string): void {
    const broker = this.#at(id);
    const { done, failed } = this.#worked.get(id) ?? { done: 0, failed: 0 };
    if (how === 'ack') {
      broker.acked++;
      if (broker.acked > done + broker.copies) {
        this.violate(
          'acked-is-worked-on',
          `message ${String(id)} was acked ${String(broker.acked)} times; work on it ended ${String(done)} times`,
        );
      }
    }
    if (how === 'reject') {
      broker.rejected++;
      if (broker.rejected > failed) this.violate('rejected-has-failed', `message ${String(id)}`);
    }
  }

  #at(id: number): AtBroker {
    let at = this.#atBroker.get(id);
    if (!at) this.#atBroker.set(id, (at = { published: 0, taken: 0, declined: 0, copies: 0, acked: 0, rejected: 0 }));
    return at;
  }
}

const EDGES: Readonly<Record<string, readonly string[]>> = {
  disconnected: ['connecting', 'closing', 'closed'],
  connecting: ['connecting', 'connected', 'reconnecting', 'closing', 'closed'],
  connected: ['connected', 'reconnecting', 'closing', 'closed'],
  reconnecting: ['connecting', 'connected', 'reconnecting', 'closing', 'closed'],
  closing: ['closed'],
  closed: [],
};
