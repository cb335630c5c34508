import type { IncomingMessage, ServerResponse } from 'node:http';
import { boolean, checkOptions, expected, isObject, oneOf, type Check, type Shape } from '../options';
import { isUnused, type Health } from './health';
import { reasonsOf, type Reason } from './reasons';

/** The answer to a probe, for `response.status(statusCode).json(body)`, `reply.code(statusCode).send(body)`, … */
export interface ProbeAnswer<B> {
  readonly statusCode: 200 | 503;
  /** Plain data, ready for `JSON.stringify`. It holds no credentials and no message bodies. */
  readonly body: B;
}
/** The body of a readiness answer. */
export interface ReadinessBody {
  readonly ready: boolean;
  readonly status: Health['status'];
  /**
   * Each connection, consumer and producer that keeps the status from being `up`, and each consumer that is stalled.
   * Empty when all is well.
   */
  readonly reasons: readonly Reason[];
  /** Messages that wait to be written or confirmed. */
  readonly outbox: Health['outbox'];
}
/** The body of a liveness answer. */
export interface LivenessBody {
  readonly alive: true;
}
/** When a service counts as ready. */
export interface ReadinessOptions {
  /**
   * The least status that counts as ready. `up`: a service that is recovering is not ready. `degraded`: only a service that is
   * down is not ready, so a short outage of the broker changes nothing, and a service counts as ready while it attaches for the
   * first time. @default 'up'
   */
  readonly from?: 'up' | 'degraded';
}
/** Anything with a health: an `InstanceQueue`. */
export interface HasHealth {
  readonly health: Health;
  /** Opens the connections. `probes()` calls it, see `ProbesOptions.connect`. */
  connect?(): Promise<void>;
}
/** The paths to answer, and when a service counts as ready. */
export interface ProbesOptions extends ReadinessOptions {
  /** The path of the readiness probe. @default '/ready' */
  readonly ready?: string;
  /** The path of the liveness probe. @default '/live' */
  readonly live?: string;
  /**
   * Open both connections when a readiness probe comes and nothing was asked of the queue before. A service that only
   * publishes opens nothing until its first message, and would never be ready to get the request that makes it publish.
   * `false`: open nothing. @default true
   */
  readonly connect?: boolean;
}

const READINESS: Shape<ReadinessOptions> = { from: oneOf('up', 'degraded') };
const path: Check = (value) =>
  typeof value === 'string' && /^\/[^?#]*$/.test(value) ? undefined : 'a path that begins with /';
const PROBES: Shape<ProbesOptions> = { ...READINESS, ready: path, live: path, connect: boolean };

/**
 * Can this instance do its work now? 200 if so, else 503 with what is missing. For a readiness probe: an instance that is not
 * ready gets no traffic, and a rollout waits for it. @throws OptionsError
 *
 * @example
 * app.get('/ready', (_request, response) => {
 *   const { statusCode, body } = readiness(queue);
 *   response.status(statusCode).json(body);
 * });
 */
export function readiness(queue: HasHealth, options: ReadinessOptions = {}): ProbeAnswer<ReadinessBody> {
  checkHasHealth(queue);
  checkOptions(options, READINESS, { of: 'readiness()' });
  const { health } = queue;
  const { status, outbox } = health;
  const ready = status === 'up' || (status === 'degraded' && options.from === 'degraded');
  return { statusCode: ready ? 200 : 503, body: { ready, status, reasons: reasonsOf(health), outbox } };
}

/**
 * Is this process alive? Always 200: a process that answers is alive. The broker plays no part in it. An orchestrator restarts
 * what fails a liveness probe; a restart brings no broker back, and loses what waits in the outbox, in every instance at once.
 *
 * @example
 * app.get('/live', (_request, response) => response.status(liveness().statusCode).json(liveness().body));
 */
export function liveness(): ProbeAnswer<LivenessBody> {
  return { statusCode: 200, body: { alive: true } };
}

/**
 * A request handler for `node:http` that answers readiness and liveness probes (GET and HEAD). It answers everything else with
 * 404 (405 for other methods), or passes it on to `next` where it is mounted as middleware. Unless `connect` is false, the first
 * readiness probe opens the connections of a queue that was not used before. @throws OptionsError
 *
 * @example
 * createServer(probes(queue)).listen(8080);
 */
export function probes(
  queue: HasHealth,
  options: ProbesOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  checkHasHealth(queue);
  checkOptions(options, PROBES, { of: 'probes()' });
  const { ready = '/ready', live = '/live', connect = true, ...readinessOptions } = options;
  if (ready === live) throw expected('live', 'another path than `ready`', live);
  return (request, response, next) => {
    const asked = request.url?.replace(/[?#].*$/s, '');
    if (asked !== ready && asked !== live) {
      if (next) next();
      else answer(response, 404, { error: `Not found. The probes are at ${ready} and ${live}.` });
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(response, 405, { error: 'Method not allowed. A probe is a GET.' });
      return;
    }
    // Health reports the outcome.
    if (asked === ready && connect && isUnused(queue.health)) queue.connect?.().catch(() => undefined);
    const { statusCode, body } = asked === ready ? readiness(queue, readinessOptions) : liveness();
    answer(response, statusCode, body);
  };
}

/** At once: the first probe would be an uncaught exception. @throws OptionsError */
function checkHasHealth(queue: HasHealth): void {
  if (!isObject(Reflect.get(Object(queue), 'health'))) throw expected('queue', 'an InstanceQueue', queue);
}

function answer(response: ServerResponse, statusCode: number, body: object): void {
  const json = JSON.stringify(body);
  response.writeHead(statusCode, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(json),
    // A cached answer says nothing about the present.
    'cache-control': 'no-store',
  });
  // Node leaves out the body of an answer to HEAD.
  response.end(json);
}
