import { EMPTY, Observable, combineLatest, distinctUntilChanged, filter, map, switchMap } from 'rxjs';
import { ConsumeSubscription } from '../consumer/consume-subscription';
import type { ConsumerState } from '../consumer/consumer-state';
import { sumCounters } from '../counters';
import { diagnose, type ConsumerHealth, type Diagnosis, type Health } from '../health/health';
import { StallDetector, type Stall } from '../health/stall';
import type { Producer } from '../producer/producer';
import type { OutboxState, ProducerState } from '../producer/producer-state';
import { StateSubject } from '../reactive/state-subject';
import type { ConnectionPair } from './connection-pair';
import type { Metrics } from './metrics';

/** Samples in the time after which a consumer counts as stalled. */
const SAMPLES = 3;
/** ms between two samples, at least. */
const SAMPLE_EVERY = 50;

/** Consumers that count as one. */
export interface ManyConsumers {
  readonly queueName: string;
  readonly state$: Observable<ConsumerState>;
  readonly subscriptions: readonly Pick<ConsumeSubscription<unknown>, 'backlog'>[];
}

/** Health and gauges of both connections, every consumer and every producer. */
export class HealthMonitor {
  readonly #connections: ConnectionPair;
  readonly #downAfter: number;
  readonly #producers = new Set<Pick<Producer, 'outbox'>>();
  readonly #consumers = new StateSubject<ReadonlyMap<object, ConsumerHealth>>(new Map());
  /** How to find out whether a consumer is stalled; those that are not attached are not. */
  readonly #stalls = new Map<object, () => Stall | undefined>();
  readonly #channels = new StateSubject<ReadonlyMap<object, ProducerState>>(new Map());
  readonly #health: StateSubject<Health>;

  constructor(connections: ConnectionPair, downAfter: number) {
    this.#connections = connections;
    this.#downAfter = downAfter;
    connections.consumer.core.joined$.subscribe((member) => {
      if (member instanceof ConsumeSubscription && member.ofCaller) this.#follow(member);
    });
    connections.state$.subscribe({
      complete: () => {
        this.#consumers.end(this.#consumers.value);
        this.#channels.end(this.#channels.value);
      },
    });
    this.#health = new StateSubject<Health>(
      this.#healthOf({
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
      next: (diagnosis) => {
        this.#health.next(this.#healthOf(diagnosis));
      },
      complete: () => {
        this.#health.end(this.#health.value);
      },
    });
    const attached$ = this.#consumers.value$.pipe(
      map((consumers) => [...consumers.values()].some(({ status }) => status === 'attached')),
      distinctUntilChanged(),
    );
    const sample$ = attached$.pipe(
      switchMap((attached) => (attached ? every(Math.max(SAMPLE_EVERY, downAfter / SAMPLES)) : EMPTY)),
    );
    sample$.subscribe(() => {
      this.#sample();
    });
  }

  get health$(): Observable<Health> {
    return this.#health.value$.pipe(distinctUntilChanged(sameHealth));
  }
  /** With the outbox of this moment. */
  get health(): Health {
    return Object.freeze({ ...this.#health.value, outbox: this.outbox });
  }

  /** The gauges of all producers as one. */
  get outbox(): OutboxState {
    const all = [...this.#producers].map(({ outbox }) => outbox);
    const sum = (gauge: keyof OutboxState): number => all.reduce((total, outbox) => total + outbox[gauge], 0);
    return { queued: sum('queued'), unconfirmed: sum('unconfirmed'), bytes: sum('bytes') };
  }

  /** The counters of both connections as one, and the gauges of this moment. */
  get metrics(): Metrics {
    const { producer, consumer } = this.#connections;
    const counters = sumCounters([producer.core.counters, consumer.core.counters]);
    return Object.assign(counters, { outbox: this.outbox });
  }

  /** Includes a producer in the gauges until it closes, and in the health from its first message on. */
  include(producer: Producer): void {
    this.#producers.add(producer);
    const write = (state: ProducerState | undefined): void => {
      const producers = new Map(this.#channels.value);
      if (state) producers.set(producer, state);
      else producers.delete(producer);
      this.#channels.next(producers);
    };
    producer.state$.pipe(filter(({ status }) => status !== 'idle')).subscribe((state) => {
      write(state.status === 'stopped' && !state.cause ? undefined : state);
    });
    producer.closed$.subscribe({
      complete: () => {
        this.#producers.delete(producer);
        write(undefined);
      },
    });
  }

  /** Counts the consumers of a partitioned queue in, as one consumer. */
  followAll(consumers: ManyConsumers): void {
    consumers.state$.subscribe((state) => {
      this.#stalls.delete(consumers);
      if (state.status === 'attached') this.#stalls.set(consumers, this.#anyStallOf(consumers));
      this.#consumer(consumers, consumers.queueName, state);
    });
  }

  #follow(subscription: ConsumeSubscription<unknown>): void {
    subscription.state$.subscribe((state) => {
      this.#stalls.delete(subscription);
      if (state.status === 'attached') this.#stalls.set(subscription, this.#stallOf(subscription));
      this.#consumer(subscription, subscription.queueName, state);
    });
  }

  #consumer(me: object, queueName: string, state: ConsumerState): void {
    const consumers = new Map(this.#consumers.value);
    // A consumer that gave up counts as down until another one consumes from its queue.
    for (const [other, { queueName: name, status }] of consumers) {
      if (other !== me && name === queueName && status === 'stopped') consumers.delete(other);
    }
    if (state.status === 'stopped' && !state.cause) consumers.delete(me);
    else consumers.set(me, Object.freeze({ ...state, queueName }));
    this.#consumers.next(consumers);
  }

  #stallOf(subscription: Pick<ConsumeSubscription<unknown>, 'backlog'>): () => Stall | undefined {
    const detector = new StallDetector(this.#downAfter);
    return () => detector.sample(subscription.backlog, performance.now());
  }

  #anyStallOf(consumers: ManyConsumers): () => Stall | undefined {
    const stalls = new WeakMap<object, () => Stall | undefined>();
    return () => {
      let found: Stall | undefined;
      for (const subscription of consumers.subscriptions) {
        const stallOf = stalls.get(subscription) ?? this.#stallOf(subscription);
        stalls.set(subscription, stallOf);
        found = stallOf() ?? found;
      }
      return found;
    };
  }

  #sample(): void {
    const consumers = new Map(this.#consumers.value);
    let changed = false;
    for (const [me, stallOf] of this.#stalls) {
      const health = consumers.get(me);
      const stall = stallOf();
      if (!health || (stall === undefined) === (health.stalled === undefined)) continue;
      changed = true;
      const { stalled: _, ...state } = health;
      consumers.set(me, Object.freeze(stall ? { ...state, stalled: stall } : state));
      if (stall) this.#log(health, stall);
    }
    if (changed) this.#consumers.next(consumers);
  }

  #log({ queueName }: ConsumerHealth, { unsettled, prefetch, since }: Stall): void {
    const { log } = this.#connections.consumer.core;
    log.info({ queue: queueName, unsettled, prefetch, since }, 'consumer stalled: nothing settled at its prefetch');
  }

  #healthOf({ blocked, ...diagnosis }: Diagnosis): Health {
    return Object.freeze({ ...diagnosis, outbox: this.outbox, ...(blocked !== undefined && { blocked }) });
  }
}

/** Emits every `ms`. Keeps no process alive. */
function every(ms: number): Observable<void> {
  return new Observable((subscriber) => {
    const timer = setInterval(() => {
      subscriber.next();
    }, ms).unref();
    return () => {
      clearInterval(timer);
    };
  });
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
