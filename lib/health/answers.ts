import { checkOptions, oneOf, type Shape } from '../options';
import type { Health } from './health';
import { reasonsOf, type Reason } from './reasons';

/** What to answer a probe with: for `response.status(statusCode).json(body)`, `reply.code(statusCode).send(body)`, … */
export interface ProbeAnswer<B> {
  readonly statusCode: 200 | 503;
  /** Plain data, ready for `JSON.stringify`. It holds no credentials and no message bodies. */
  readonly body: B;
}
/** Is it ready, and if not, what is missing? */
export interface ReadinessBody {
  readonly ready: boolean;
  readonly status: Health['status'];
  /** Each connection, consumer and producer that is not as it should be; empty when the status is `up`. */
  readonly reasons: readonly Reason[];
  /** Messages that wait for the wire or for their confirm. */
  readonly outbox: Health['outbox'];
}
/** It answers: that is all there is to say. */
export interface LivenessBody {
  readonly alive: true;
}
/** When a service counts as ready. */
export interface ReadinessOptions {
  /**
   * The least status that is ready. `up`: what recovers is not ready meanwhile. `degraded`: only what is down is not, so
   * that a short outage of the broker changes nothing; neither is a service that has yet to attach for the first time
   * held back then. @default 'up'
   */
  readonly from?: 'up' | 'degraded';
}
/** Whatever has a health: an `InstanceQueue`. */
export interface HasHealth {
  readonly health: Health;
}

export const READINESS: Shape<ReadinessOptions> = { from: oneOf('up', 'degraded') };

/**
 * Can this instance do its work now? 200 if so, else 503 with what is missing. For a readiness probe: what is not ready
 * gets no traffic, and a rollout waits for it. @throws OptionsError
 *
 * @example
 * app.get('/ready', (_request, response) => {
 *   const { statusCode, body } = readiness(queue);
 *   response.status(statusCode).json(body);
 * });
 */
export function readiness(queue: HasHealth, options: ReadinessOptions = {}): ProbeAnswer<ReadinessBody> {
  checkOptions(options, READINESS, { of: 'readiness()' });
  const { health } = queue;
  const { status, outbox } = health;
  const ready = status === 'up' || (status === 'degraded' && options.from === 'degraded');
  return { statusCode: ready ? 200 : 503, body: { ready, status, reasons: reasonsOf(health), outbox } };
}

/**
 * Is this process alive? Always 200: who can answer is. It asks nothing of the broker, because what fails a liveness probe
 * is restarted, and that mends no broker that is away; it loses what waits in the outbox, in every instance at once.
 *
 * @example
 * app.get('/live', (_request, response) => response.status(liveness().statusCode).json(liveness().body));
 */
export function liveness(): ProbeAnswer<LivenessBody> {
  return { statusCode: 200, body: { alive: true } };
}
