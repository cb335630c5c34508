import type { IncomingMessage, ServerResponse } from 'node:http';
import { checkOptions, expected, oneOf, type Check, type Shape } from '../options';
import { liveness, readiness, type HasHealth, type ReadinessOptions } from './answers';

/** Which paths are answered, and when a service counts as ready. */
export interface ProbesOptions extends ReadinessOptions {
  /** The path of the readiness probe. @default '/ready' */
  readonly ready?: string;
  /** The path of the liveness probe. @default '/live' */
  readonly live?: string;
}

const path: Check = (value) =>
  typeof value === 'string' && /^\/[^?#]*$/.test(value) ? undefined : 'a path that begins with /';
const PROBES: Shape<ProbesOptions> = { ready: path, live: path, from: oneOf('up', 'degraded') };

/**
 * A request handler for `node:http` that answers readiness and liveness probes (GET and HEAD), and everything else with
 * 404 (405 for other methods), or passes it on to `next` where it is mounted as middleware. @throws OptionsError
 *
 * @example
 * createServer(probes(queue)).listen(8080);
 */
export function probes(
  queue: HasHealth,
  options: ProbesOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  checkOptions(options, PROBES, { of: 'probes()' });
  const { ready = '/ready', live = '/live', ...readinessOptions } = options;
  if (ready === live) throw expected('live', 'another path than `ready`', live);
  return (request, response, next) => {
    const asked = request.url?.replace(/[?#].*$/s, '');
    if (asked !== ready && asked !== live) {
      if (next) next();
      else answer(response, 404, { error: `Nothing is here: ask for ${ready} or ${live}.` });
      return;
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      answer(response, 405, { error: 'A probe is a GET.' });
      return;
    }
    const { statusCode, body } = asked === ready ? readiness(queue, readinessOptions) : liveness();
    answer(response, statusCode, body);
  };
}

function answer(response: ServerResponse, statusCode: number, body: object): void {
  const json = JSON.stringify(body);
  // An old answer would be as wrong as none.
  response.writeHead(statusCode, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(json),
    'cache-control': 'no-store',
  });
  // Of an answer to HEAD Node sends the headers alone.
  response.end(json);
}
