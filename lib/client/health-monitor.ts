import { combineLatest, distinctUntilChanged, map, type Observable } from 'rxjs';
import { StateSubject } from '../reactive/state-subject';
import type { ConsumerWatch } from '../consumer/consumer-state';
import { diagnose, type ConsumerHealth, type Health } from '../health/health';
import type { OutboxState, Producer } from '../producer/producer';
import type { ProducerState, ProducerWatch } from '../producer/producer-state';
import type { ConnectionPair } from './connection-pair';

/** Watches both connections, every consumer and every producer, and says how they are. */
export class HealthMonitor {
  readonly #producers = new Set<Pick<Producer, 'outbox'>>();
  readonly #consumers = new StateSubject<ReadonlyMap<object, ConsumerHealth>>(new Map());
  readonly #channels = new StateSubject<ReadonlyMap<object, ProducerState>>(new Map());
  readonly #health: StateSubject<Health>;

  constructor(connections: ConnectionPair, downAfter: number) {
    connections.state$.subscribe({
      complete: () => {
        this.#consumers.end(this.#consumers.value);
        this.#channels.end(this.#channels.value);
      },
    });
    this.#health = new StateSubject<Health>(
      this.#sample({
        connections: connections.state,
        consumers: [],
        producers: [],
        status: 'down',
        blocked: undefined,
      }),
    );
    const vitals$ = combineLatest({
      connections: connections.state$,
      consumers: this.#consumers.value$.pipe(map((consumers) => [...consumers.values()])),
      producers: this.#channels.value$.pipe(map((producers) => [...producers.values()])),
      blocked: connections.producer.blocked$,
    });
    diagnose(vitals$, downAfter).subscribe({
      next: (vitals) => {
        this.#health.next(this.#sample(vitals));
      },
      complete: () => {
        this.#health.end(this.#health.value);
      },
    });
  }

  get health$(): Observable<Health> {
    return this.#health.value$.pipe(distinctUntilChanged(sameHealth));
  }
  /** The outbox sampled now. */
  get health(): Health {
    return Object.freeze({ ...this.#health.value, outbox: this.outbox });
  }

  /** The gauges of all producers as one. */
  get outbox(): OutboxState {
    const all = [...this.#producers].map(({ outbox }) => outbox);
    const sum = (gauge: keyof OutboxState): number => all.reduce((total, outbox) => total + outbox[gauge], 0);
    return { queued: sum('queued'), unconfirmed: sum('unconfirmed'), bytes: sum('bytes') };
  }

  /** Counts a producer in until it is closed. */
  include(producer: Pick<Producer, 'outbox' | 'closed$'>): void {
    this.#producers.add(producer);
    producer.closed$.subscribe({
      complete: () => {
        this.#producers.delete(producer);
      },
    });
  }

  /** Keeps the state of one producer, from its first message on. */
  watchProducer(): ProducerWatch {
    const me = {};
    return {
      state: (state) => {
        const producers = new Map(this.#channels.value);
        if (state.status === 'stopped' && !state.cause) producers.delete(me);
        else producers.set(me, Object.freeze(state));
        this.#channels.next(producers);
      },
    };
  }

  /** Keeps the state of one subscription. */
  watch(queueName: string): ConsumerWatch {
    const me = {};
    return {
      state: (state) => {
        const consumers = new Map(this.#consumers.value);
        // One that gave up is down until somebody consumes from that queue again.
        for (const [other, { queueName: name, status }] of consumers) {
          if (other !== me && name === queueName && status === 'stopped') consumers.delete(other);
        }
        if (state.status === 'stopped' && !state.cause) consumers.delete(me);
        else consumers.set(me, Object.freeze({ ...state, queueName }));
        this.#consumers.next(consumers);
      },
    };
  }

  #sample({
    status,
    connections,
    consumers,
    producers,
    blocked,
  }: Omit<Health, 'outbox' | 'blocked'> & { blocked: string | undefined }): Health {
    return Object.freeze({
      status,
      connections,
      consumers,
      producers,
      outbox: this.outbox,
      ...(blocked !== undefined && { blocked }),
    });
  }
}

function sameHealth(a: Health, b: Health): boolean {
  return (
    a.status === b.status &&
    a.connections === b.connections &&
    a.blocked === b.blocked &&
    sameItems(a.consumers, b.consumers) &&
    sameItems(a.producers, b.producers)
  );
}

const sameItems = <T>(a: readonly T[], b: readonly T[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);
