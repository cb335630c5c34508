/// <reference types="node" preserve="true" />
/**
 * Metrics for Prometheus, with prom-client.
 * @module instance-queue/prometheus
 */

import { Counter, type CounterConfiguration, Gauge, Histogram, Registry } from 'prom-client';
import type { InstanceQueue } from '../client/instance-queue';
import type { Metrics } from '../client/metrics';
import {
  checkObserved,
  lowCardinality,
  observeTraffic,
  type SentMessage,
  type TrafficObserver,
} from '../client/traffic';
import type { Settlement } from '../consumer/delivery';
import { OptionsError } from '../errors';
import { checkOptions, expected, type Shape } from '../options';

/** How metrics are registered. */
export interface RegisterOptions {
  /**
   * What every metric's name begins with. Two InstanceQueues in one registry need different prefixes.
   * @default 'instance_queue_'
   */
  readonly prefix?: string;
}

type CounterName = { [K in keyof Metrics]: Metrics[K] extends number ? K : never }[keyof Metrics];

/** Counters of the whole InstanceQueue. */
const TOTALS = {
  sent: 'Messages published for the first time.',
  confirmed: 'Messages that the broker confirmed.',
  resent: 'Publishes of messages published before.',
  returned: 'Messages that no queue took.',
  nacked: 'Negative confirms.',
  timedOut: 'Messages whose deadline or expiration passed before they were confirmed.',
  dropped: 'Messages dropped from a full outbox.',
  undecodable: 'Messages that could not be decoded.',
  retried: 'Copies of failed messages put into a wait queue.',
  unclaimed: 'Replies that no request waited for.',
  reconnects: 'Connections established again.',
  reopens: 'Channels opened, and consumers attached, again.',
} as const;

/** Counters by queue. */
const BY_QUEUE = {
  delivered: 'Messages handed out.',
  redelivered: 'Messages handed out that the broker had delivered before.',
  acked: 'Deliveries acknowledged.',
  requeued: 'Deliveries requeued.',
  released: 'Deliveries given back without work on them.',
  rejected: 'Deliveries rejected.',
  lost: 'Deliveries whose channel was lost before they were settled.',
} as const;
// A counter that is added to Metrics does not compile until it is in one of the two tables.
({ ...TOTALS, ...BY_QUEUE }) satisfies Record<Exclude<CounterName, 'inFlight'>, string>;

const SETTLED = {
  ack: 'acked',
  requeue: 'requeued',
  release: 'released',
  reject: 'rejected',
  lost: 'lost',
} as const satisfies Record<Settlement | 'lost', keyof typeof BY_QUEUE>;

const SEND_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const HANDLE_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

const REGISTER: Shape<RegisterOptions> = {
  prefix: (value) =>
    typeof value === 'string' && /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(value)
      ? undefined
      : 'the beginning of a metric name: letters, digits, `_` and `:`, no digit first',
};

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/**
 * Registers the metrics of an InstanceQueue: its counters (those of deliveries by queue), gauges of its health and its
 * outbox, and two histograms, of `send` and of deliveries from hand-out to settlement. Counters and gauges are read when
 * Prometheus scrapes. The histograms and the counters by queue subscribe to `node:diagnostics_channel` until the
 * InstanceQueue is closed.
 *
 * Call it once, at the start: deliveries from before it are counted under an empty queue name. Returns a function that
 * stops observing and removes the metrics from the registry.
 *
 * @throws OptionsError if an option is wrong, or the registry already holds a metric of that name
 * @example
 * register(queue, promClient.register);
 */
export function register(queue: InstanceQueue, registry: Registry, options: RegisterOptions = {}): () => void {
  checkObserved(queue);
  if (typeof Reflect.get(Object(registry), 'registerMetric') !== 'function')
    throw expected('registry', 'a Registry of prom-client', registry);
  checkOptions(options, REGISTER, { of: 'register()' });
  const { prefix = 'instance_queue_' } = options;
  // All of them are made before the first is registered: a name that is taken must not leave half of them behind.
  const own = new Registry();
  const names: string[] = [];
  const named = (name: string, help: string) => {
    names.push(prefix + name);
    return { name: prefix + name, help, registers: [own] };
  };
  for (const [name, help] of Object.entries(TOTALS) as [keyof typeof TOTALS, string][]) {
    new Counter({
      ...named(`${snakeCase(name)}_total`, help),
      collect() {
        this.reset();
        this.inc(queue.metrics[name]);
      },
    });
  }
  gauges(queue, named);
  const observer = { ...deliveries(queue, named), sent: sends(named) };
  const taken = names.find((name) => registry.getSingleMetric(name));
  if (taken !== undefined)
    throw new OptionsError(
      'prefix',
      `The registry already holds \`${taken}\`. Give each InstanceQueue a \`prefix\` of its own.`,
    );
  const metrics = names.flatMap((name) => own.getSingleMetric(name) ?? []);
  for (const metric of metrics) registry.registerMetric(metric);
  const stop = observeTraffic(queue, observer);
  return () => {
    stop();
    // Others may have registered theirs under the same names since.
    names.forEach((name, i) => {
      if (registry.getSingleMetric(name) === metrics[i]) registry.removeSingleMetric(name);
    });
  };
}

type Named = (name: string, help: string) => { name: string; help: string; registers: Registry[] };

function gauges(queue: InstanceQueue, named: Named): void {
  const values = {
    up: ['1 while the health is up, else 0.', () => Number(queue.health.status === 'up')],
    blocked: ['1 while the broker blocks publishing, else 0.', () => Number(queue.health.blocked !== undefined)],
    in_flight: ['Deliveries handed out and not settled.', () => queue.metrics.inFlight],
    outbox_queued: ['Messages that wait to be published.', () => queue.metrics.outbox.queued],
    outbox_unconfirmed: ['Messages published and not confirmed.', () => queue.metrics.outbox.unconfirmed],
    outbox_bytes: ['Bytes of the messages that are queued or unconfirmed.', () => queue.metrics.outbox.bytes],
  } as const;
  for (const [name, [help, value]] of Object.entries(values)) {
    new Gauge({
      ...named(name, help),
      collect() {
        this.set(value());
      },
    });
  }
  new Gauge({
    ...named('connected', '1 while the connection is up, else 0.'),
    labelNames: ['role'],
    collect() {
      for (const role of ['producer', 'consumer'] as const)
        this.set({ role }, Number(queue.state[role].status === 'connected'));
    },
  });
  new Gauge({
    ...named('consumers', 'Consumers, by queue and status.'),
    labelNames: ['queue', 'status'],
    collect() {
      this.reset();
      for (const { queueName, status } of queue.health.consumers)
        this.inc({ queue: lowCardinality(queueName), status });
    },
  });
}

/** The histogram of sends. */
function sends(named: Named): (message: SentMessage) => void {
  const durations = new Histogram({
    ...named(
      'send_duration_seconds',
      'From the call of send to its settlement: `outcome` is confirmed, or the code of the error.',
    ),
    labelNames: ['queue', 'exchange', 'outcome'],
    buckets: SEND_BUCKETS,
  });
  return ({ exchange, routingKey, failure, seconds }) => {
    const queue = exchange === '' ? lowCardinality(routingKey) : '';
    durations.observe({ queue, exchange, outcome: failure ?? 'confirmed' }, seconds);
  };
}

/** The counters by queue, and the histogram of deliveries. */
function deliveries(queue: InstanceQueue, named: Named): Omit<TrafficObserver, 'sent'> {
  const counters = Object.fromEntries(
    (Object.entries(BY_QUEUE) as [keyof typeof BY_QUEUE, string][]).map(([name, help]) => [
      name,
      new QueueCounter(named(`${name}_total`, help), () => queue.metrics[name]),
    ]),
  ) as Record<keyof typeof BY_QUEUE, QueueCounter>;
  const durations = new Histogram({
    ...named('handle_duration_seconds', 'From the hand-out of a delivery to its settlement.'),
    labelNames: ['queue', 'settlement'],
    buckets: HANDLE_BUCKETS,
  });
  return {
    delivered: ({ queue: name, redelivered }) => {
      counters.delivered.count(name);
      if (redelivered) counters.redelivered.count(name);
    },
    settled: ({ queue: name }, settlement, seconds) => {
      counters[SETTLED[settlement]].count(name);
      durations.observe({ queue: lowCardinality(name), settlement }, seconds);
    },
  };
}

/**
 * A counter by queue that adds up to the counter of the whole InstanceQueue: what was counted before it was registered
 * stands under an empty queue name.
 */
class QueueCounter {
  readonly #counts = new Map<string, number>();

  /** `total` reads the counter of the whole. */
  constructor(configuration: Omit<CounterConfiguration<'queue'>, 'labelNames' | 'collect'>, total: () => number) {
    const counts = this.#counts;
    new Counter({
      ...configuration,
      labelNames: ['queue'],
      collect() {
        this.reset();
        let rest = total();
        for (const [queue, count] of counts) {
          this.inc({ queue }, count);
          rest -= count;
        }
        if (rest > 0 || counts.size === 0) this.inc({ queue: '' }, rest);
      },
    });
  }

  count(queueName: string): void {
    const queue = lowCardinality(queueName);
    this.#counts.set(queue, (this.#counts.get(queue) ?? 0) + 1);
  }
}
