import { OptionsError } from '../errors';
import { expected } from '../options';
import { parseQuery, type EndpointQuery } from './endpoint-query';

/** One broker's address, or several of one cluster. */
export type Endpoints = string | readonly string[];
/** Where to connect; a function is asked at every attempt: discovery, rotated credentials. */
export type EndpointSource = Endpoints | (() => Endpoints | Promise<Endpoints>);

/** A parsed AMQP URL. `label` is all of it that may be shown. */
export interface Endpoint extends EndpointQuery {
  readonly label: string;
  readonly protocol: 'amqp' | 'amqps';
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly vhost: string;
}

const EXAMPLE = 'an AMQP URL such as amqp://user:password@host:5672/vhost';

/** The text without what may be credentials: everything up to the last @; without one, behind a colon, all but a port. */
const redacted = (url: string): string =>
  url.includes('@')
    ? `***@${url.slice(url.lastIndexOf('@') + 1).replace(/\?.*$/s, '?***')}`
    : url.replace(/:(?!\/\/|\d+(?:[/?#]|$)).*$/s, ':***');

/**
 * Reads an AMQP URL (https://www.rabbitmq.com/docs/uri-spec); no path means the vhost `/`.
 * @throws OptionsError, without the credentials in it
 */
export function parseEndpoint(url: unknown): Endpoint {
  if (typeof url !== 'string') throw expected('url', EXAMPLE, url);
  const refuse = (why: string): never => {
    // The parser's own error quotes the whole URL: it is no cause to keep.
    throw new OptionsError('url', `Expected \`url\` to be ${EXAMPLE}, got \`${redacted(url)}\`${why}.`);
  };
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return refuse('');
  }
  // An unescaped `/`, `?` or `#` in a password ends the host there: the rest of it must not become a label.
  if (parsed.hash !== '' || `${parsed.pathname}${parsed.search}`.includes('@'))
    return refuse(', with a `#` or `@` that is not %-escaped');
  const protocol = parsed.protocol.slice(0, -1);
  if (protocol !== 'amqp' && protocol !== 'amqps') return refuse(' with another protocol');
  if (parsed.hostname === '') return refuse(' without a host');
  const decode = (part: string): string => {
    try {
      return decodeURIComponent(part);
    } catch {
      return refuse(' with a broken %-escape');
    }
  };
  const query = parseQuery(parsed.searchParams, protocol === 'amqps', refuse);
  const anonymous = parsed.username === '' && parsed.password === '';
  const port = parsed.port === '' ? (protocol === 'amqps' ? 5671 : 5672) : Number(parsed.port);
  const vhost = parsed.pathname.length > 1 ? decode(parsed.pathname.slice(1)) : '/';
  return {
    label: `${parsed.hostname}:${String(port)}/${vhost === '/' ? '' : vhost}`,
    protocol,
    hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
    port,
    username: anonymous ? 'guest' : decode(parsed.username),
    password: anonymous ? 'guest' : decode(parsed.password),
    vhost,
    ...query,
  };
}

/** All of them, parsed; at least one. @throws OptionsError */
export function parseEndpoints(given: unknown): readonly Endpoint[] {
  const urls: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (urls.length === 0) throw expected('url', `${EXAMPLE}, or a list of at least one`, given);
  return urls.map(parseEndpoint);
}

/** Checks what can be checked now, and returns what is asked at every attempt. */
export function endpointSource(source: EndpointSource): () => Promise<readonly Endpoint[]> {
  if (typeof source === 'function') return async () => parseEndpoints(await source());
  const endpoints = parseEndpoints(source);
  return () => Promise.resolve(endpoints);
}

/** In random order (Fisher–Yates), so that a fleet of clients does not pick one node all together. */
export function shuffled<T>(items: readonly T[], random: () => number = Math.random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [all[i], all[j]];
    if (a !== undefined && b !== undefined) [all[i], all[j]] = [b, a];
  }
  return all;
}
