import { metrics, type Attributes, type MeterProvider } from '@opentelemetry/api';
import type { InstanceQueue } from '../client/instance-queue';
import { checkObserved, lowCardinality, observeTraffic } from '../client/traffic';
import { checkOptions, type Shape } from '../options';

/** Where the metrics go. */
export interface MeterOptions {
  /** @default the global one, `metrics.getMeterProvider()` */
  readonly meterProvider?: MeterProvider;
}

const METER: Shape<MeterOptions> = {
  meterProvider: (value) =>
    typeof value === 'object' && value !== null && typeof Reflect.get(value, 'getMeter') === 'function'
      ? undefined
      : 'a MeterProvider of @opentelemetry/api',
};

/** https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/ */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/**
 * Measures an InstanceQueue by the semantic conventions for messaging, until it is closed:
 *
 * - `messaging.client.sent.messages`: messages that a `send` tried to publish;
 * - `messaging.client.consumed.messages`: messages handed out;
 * - `messaging.client.operation.duration`: seconds from the call of `send` to its settlement;
 * - `messaging.process.duration`: seconds from the hand-out of a delivery to its settlement. Deliveries that were released
 *   without work on them do not count.
 *
 * The attributes are `messaging.system`, `messaging.operation.name` and `type`, `server.address` and `server.port` (of the
 * present connection), `messaging.destination.name` and, after a failure, `error.type`. The destination is the exchange, or
 * the queue where there is none: routing keys may be as many as messages. Queues with generated names have
 * `messaging.destination.template` instead. `error.type` is the `code` of the error that `send` rejected with; of a delivery
 * it is `requeue`, `reject` or `lost`.
 *
 * Returns a function that stops measuring. Subscribes to `node:diagnostics_channel`: without it nothing is measured.
 *
 * @throws OptionsError if an option is wrong
 * @example
 * const stop = meter(queue);
 */
export function meter(queue: InstanceQueue, options: MeterOptions = {}): () => void {
  checkObserved(queue);
  checkOptions(options, METER, { of: 'meter()' });
  const { meterProvider = metrics.getMeterProvider() } = options;
  const instruments = meterProvider.getMeter('instance-queue');
  const counter = (name: string, description: string) =>
    instruments.createCounter(name, { description, unit: '{message}' });
  const histogram = (name: string, description: string) =>
    instruments.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: BOUNDARIES } });
  const sent = counter(
    'messaging.client.sent.messages',
    'Number of messages producer attempted to send to the broker.',
  );
  const consumed = counter(
    'messaging.client.consumed.messages',
    'Number of messages that were delivered to the application.',
  );
  const operation = histogram(
    'messaging.client.operation.duration',
    'Duration of messaging operation initiated by a producer or consumer client.',
  );
  const process = histogram('messaging.process.duration', 'Duration of processing operation.');

  const producing = serverOf(() => queue.state.producer);
  const consuming = serverOf(() => queue.state.consumer);
  return observeTraffic(queue, {
    sent({ exchange, routingKey, failure, attempted, seconds }) {
      const attributes = {
        ...common('send', exchange || routingKey),
        ...producing(),
        ...(failure !== undefined && { 'error.type': failure }),
      };
      if (attempted) sent.add(1, attributes);
      operation.record(seconds, { ...attributes, 'messaging.operation.type': 'send' });
    },
    delivered({ queue: name }) {
      consumed.add(1, { ...common('consume', name), ...consuming() });
    },
    settled({ queue: name }, settlement, seconds) {
      if (settlement === 'release') return;
      process.record(seconds, {
        ...common('process', name),
        ...consuming(),
        ...(settlement !== 'ack' && { 'error.type': settlement }),
      });
    },
  });
}

function common(operation: 'send' | 'consume' | 'process', destination: string): Attributes {
  const kind = lowCardinality(destination);
  return {
    'messaging.system': 'rabbitmq',
    'messaging.operation.name': operation,
    ...(kind === destination
      ? { 'messaging.destination.name': destination }
      : { 'messaging.destination.template': kind }),
  };
}

/** The broker's address as attributes, parsed once per endpoint. */
function serverOf(state: () => { readonly status: string; readonly endpoint?: string }): () => Attributes {
  let [endpoint, attributes]: [string | undefined, Attributes] = [undefined, {}];
  return () => {
    const present = state().endpoint;
    if (present !== undefined && present !== endpoint) {
      const [, host = '', port = ''] = /^\[?(.*?)\]?:(\d+)\//.exec(present) ?? [];
      [endpoint, attributes] = [present, { 'server.address': host, 'server.port': Number(port) }];
    }
    return attributes;
  };
}
