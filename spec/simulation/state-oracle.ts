import type { InstanceQueue, InstanceQueueState, Producer } from 'instance-queue';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Findings } from './findings';
import type { Plan, ProducerPlan } from './plan';

/** ms, by default. */
const CONNECT_TIMEOUT = 10_000;
/** Bytes of a message of a producer whose outbox is bounded in bytes, headers included. */
const LARGEST = 500;
/** ms by which its end may be late: timers of one moment run one after the other. */
const DIAL_SLACK = 50;

/** The rules about states: their edges, epochs, health, and bounds. */
export class StateOracle {
  readonly #universe: Universe;
  readonly #findings: Findings;
  /** ms that one dial may take. */
  readonly #connectTimeout: number;

  constructor(universe: Universe, { socket }: Plan, findings: Findings) {
    this.#universe = universe;
    this.#findings = findings;
    this.#connectTimeout = socket?.connectTimeout ?? CONNECT_TIMEOUT;
  }

  /** All states of a client, as they come. */
  watch(client: InstanceQueue): void {
    for (const role of ['producer', 'consumer'] as const) {
      let before = client.state[role];
      let epoch = 0;
      let since = this.#universe.now;
      client.state$.subscribe((both) => {
        const state = both[role];
        if (state === before) return;
        this.#findings.note(`app: ${role} connection ${state.status}`);
        const { now } = this.#universe;
        if (now - since > this.#patience(before) + DIAL_SLACK) {
          this.#findings.violate('a-dial-ends-in-time', `${role} ${before.status} for ${String(now - since)} ms`);
        }
        since = now;
        if (!EDGES[before.status]?.includes(state.status)) {
          this.#findings.violate(
            'states-along-legal-edges',
            `${role} connection from ${before.status} to ${state.status}`,
          );
        }
        if (state.status === 'connected') {
          const renewed = before.status === 'connected';
          if (state.epoch !== epoch + (renewed ? 0 : 1))
            this.#findings.violate('epochs-count', `${String(epoch)} to ${String(state.epoch)}`);
          epoch = state.epoch;
        }
        before = state;
      });
    }
    client.health$.subscribe((health) => {
      this.#findings.note(`app: health ${health.status}`);
      const { producer, consumer } = health.connections;
      const recovering =
        [producer, consumer].some(({ status }) => status === 'reconnecting' || status === 'closed') ||
        health.consumers.some(({ status }) => status === 'detached' || status === 'stopped') ||
        health.blocked !== undefined;
      if (health.status === 'up' && recovering)
        this.#findings.violate('health-agrees-with-the-truth', 'up while something recovers');
    });
  }

  /** ms that a connection stays in a state, where the broker's host gives no answer. */
  #patience(state: InstanceQueueState['producer']): number {
    if (state.status === 'connecting') return this.#connectTimeout;
    return state.status === 'reconnecting' ? state.delay + this.#connectTimeout : Infinity;
  }

  watchProducer(producer: Producer, { limit, bytes: most, overflow, maxInFlight }: ProducerPlan): void {
    producer.outbox$.subscribe(({ queued, unconfirmed, bytes }) => {
      if (unconfirmed > maxInFlight)
        this.#findings.violate('in-flight-is-bounded', `${String(unconfirmed)} > ${String(maxInFlight)}`);
      if (overflow !== 'wait' && queued > limit + maxInFlight)
        this.#findings.violate('outbox-is-bounded', `${String(queued)} > ${String(limit)}`);
      // What is sent again comes back into it, however full it is.
      if (overflow !== 'wait' && most !== undefined && bytes > most + maxInFlight * LARGEST) {
        this.#findings.violate('outbox-is-bounded', `${String(bytes)} > ${String(most)} bytes`);
      }
    });
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
