import type { InstanceQueue, Producer } from 'instance-queue';
import type { Findings } from './findings';
import type { ProducerPlan } from './plan';

/** The rules about states: their edges, epochs, health, and bounds. */
export class StateOracle {
  readonly #findings: Findings;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** All states of a client, as they come. */
  watch(client: InstanceQueue): void {
    for (const role of ['producer', 'consumer'] as const) {
      let before = client.state[role];
      let epoch = 0;
      client.state$.subscribe((both) => {
        const state = both[role];
        if (state === before) return;
        this.#findings.note(`app: ${role} connection ${state.status}`);
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

  watchProducer(producer: Producer, { limit, overflow, maxInFlight }: ProducerPlan): void {
    producer.outbox$.subscribe(({ queued, unconfirmed }) => {
      if (unconfirmed > maxInFlight)
        this.#findings.violate('in-flight-is-bounded', `${String(unconfirmed)} > ${String(maxInFlight)}`);
      if (overflow !== 'wait' && queued > limit + maxInFlight)
        this.#findings.violate('outbox-is-bounded', `${String(queued)} > ${String(limit)}`);
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
