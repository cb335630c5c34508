import { readFileSync } from 'node:fs';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { OptionsError, sentenceOf } from '../errors';
import { expected, LONGEST, LONGEST_HEARTBEAT } from '../options';
import { notInPem } from './tls-options';

/** The URL of a broker, or several of one cluster. */
export type Endpoints = string | readonly string[];
/** Where to connect; a function is asked at every attempt: discovery, credentials that come as a URL. */
export type EndpointSource = Endpoints | (() => Endpoints | Promise<Endpoints>);

/** A parsed AMQP URL. Only its `label` may be shown. */
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

/** Removes possible credentials: everything up to the last @; without one, everything after a colon except a port. */
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
    // The error of the parser quotes the whole URL, so it is not kept as the cause.
    throw new OptionsError('url', `Expected \`url\` to be ${EXAMPLE}, got \`${redacted(url)}\`${why}.`);
  };
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return refuse('');
  }
  // The parser takes what is in front of the first colon for a protocol.
  if (!/^[a-z][\w.+-]*:\/\//i.test(url.trim())) return refuse(' without `amqp://` in front');
  // An unescaped `/`, `?` or `#` in a password ends the host there. The rest of the password must not become the label.
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

/** Parses all URLs; at least one. @throws OptionsError */
export function parseEndpoints(given: unknown): readonly Endpoint[] {
  const urls: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (urls.length === 0) throw expected('url', `${EXAMPLE}, or a list of at least one`, given);
  return urls.map(parseEndpoint);
}

/**
 * Checks what can be checked now, and returns what is asked at every attempt.
 * @param credentials - do user and password come from elsewhere?
 */
export function endpointSource(source: EndpointSource, credentials = false): () => Promise<readonly Endpoint[]> {
  const parse = (urls: Endpoints): readonly Endpoint[] => {
    const endpoints = parseEndpoints(urls);
    if (!credentials || endpoints.every(({ external }) => !external)) return endpoints;
    const message =
      'Expected no `credentials` beside a URL with `auth_mechanism=external`: there the client certificate says who the client is.';
    throw new OptionsError('credentials', message);
  };
  if (typeof source === 'function') return async () => parse(await source());
  const endpoints = parse(source);
  return () => Promise.resolve(endpoints);
}

/** Is it known now that none of them is dialled over TLS? @throws OptionsError */
export const isPlain = (source: EndpointSource): boolean =>
  typeof source !== 'function' && parseEndpoints(source).every(({ protocol }) => protocol === 'amqp');

/** In random order (Fisher–Yates), so that many clients do not all choose the same node. */
export function shuffled<T>(items: readonly T[], random: () => number = Math.random): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [all[i], all[j]];
    if (a !== undefined && b !== undefined) [all[i], all[j]] = [b, a];
  }
  return all;
}

/** The parameters in the query of an AMQP URL. */
interface EndpointQuery {
  /** SASL EXTERNAL: the client certificate identifies the user. */
  readonly external: boolean;
  /** Seconds. */
  readonly heartbeat?: number;
  readonly frameMax?: number;
  readonly channelMax?: number;
  readonly locale?: string;
  /** ms for TCP, TLS and handshake together. */
  readonly connectTimeout?: number;
  /** Takes precedence over the `tls` option of the connection. */
  readonly tls?: TlsOptions;
}

/** Each parameter by its name and by that of RabbitMQ: https://www.rabbitmq.com/docs/uri-query-parameters */
const NUMBERS = {
  heartbeat: { names: ['heartbeat'], from: 0, to: LONGEST_HEARTBEAT, unit: ' seconds' },
  // The smallest frame that AMQP allows; brokers drop a connection that asks for less.
  frameMax: { names: ['frameMax', 'frame_max'], from: 4096, to: 2 ** 32 - 1, unit: ' bytes, or 0', orZero: true },
  channelMax: { names: ['channelMax', 'channel_max'], from: 0, to: 65_535, unit: '' },
  connectTimeout: { names: ['connectTimeout', 'connection_timeout'], from: 1, to: LONGEST, unit: ' ms' },
} as const;
const FILES = { ca: 'cacertfile', cert: 'certfile', key: 'keyfile' } as const;
const TLS = [...Object.values(FILES), 'password', 'verify', 'server_name_indication'];
const KNOWN = [...Object.values(NUMBERS).flatMap(({ names }) => names), 'locale', 'auth_mechanism', ...TLS];

/** Parameters of RabbitMQ's own client that are not supported here, and the alternatives. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  fail_if_no_peer_cert: 'which is for servers: leave it out, and set `verify=verify_peer`',
  depth: 'which Node has no option for: check the certificate chain in `tls.checkServerIdentity`',
};

/**
 * Reads the query of an AMQP URL. Files are read at once, so that a missing one is refused with the URL.
 * @param refuse - throws; its text completes the sentence "got <url>…"
 */
function parseQuery(query: URLSearchParams, secure: boolean, refuse: (why: string) => never): EndpointQuery {
  for (const name of query.keys()) {
    const instead = ELSEWHERE[name];
    if (instead !== undefined) return refuse(` with the parameter \`${name}\`, ${instead}`);
    if (!KNOWN.includes(name)) return refuse(` with the unknown parameter \`${name}\` (known: ${KNOWN.join(', ')})`);
    if (TLS.includes(name) && !secure) return refuse(` with the parameter \`${name}\`, which needs amqps://`);
    if (name !== 'auth_mechanism' && query.getAll(name).length > 1) return refuse(` with \`${name}\` more than once`);
  }
  const numbers = Object.entries(NUMBERS).flatMap(([option, { names, from, to, unit, ...rest }]) => {
    const [name, another] = names.filter((alias) => query.has(alias));
    if (name === undefined) return [];
    if (another !== undefined) return refuse(` with both \`${name}\` and \`${another}\``);
    const text = query.get(name) ?? '';
    const value = /^\d{1,10}$/.test(text) ? Number(text) : refuse(`, whose \`${name}\` is not a whole number`);
    if ((value < from || value > to) && !(value === 0 && 'orZero' in rest))
      return refuse(`, whose \`${name}\` is ${text}: it has to be from ${String(from)} to ${String(to)}${unit}`);
    return [[option, value] as const];
  });
  const locale = query.get('locale');
  const tls = tlsOf(query, refuse);
  return {
    external: isExternal(query, refuse),
    ...Object.fromEntries(numbers),
    ...(locale !== null && { locale }),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
}

/** RabbitMQ's client tries several mechanisms in turn; here a client certificate is used if that is one of them. */
function isExternal(query: URLSearchParams, refuse: (why: string) => never): boolean {
  const mechanisms = query.getAll('auth_mechanism').map((name) => name.toLowerCase());
  if (mechanisms.some((name) => name !== 'plain' && name !== 'external'))
    return refuse(', whose `auth_mechanism` is neither plain nor external');
  return mechanisms.includes('external');
}

function tlsOf(query: URLSearchParams, refuse: (why: string) => never): TlsOptions {
  const files = Object.entries(FILES).flatMap(([option, name]) => {
    const path = query.get(name);
    if (path === null) return [];
    try {
      return [[option, readFileSync(path)] as const];
    } catch (error) {
      return refuse(`, whose \`${name}\` cannot be read (${sentenceOf(error)})`);
    }
  });
  const pemless = notInPem(Object.fromEntries(files));
  if (pemless) return refuse(`, whose \`${FILES[pemless]}\` is not in PEM`);
  const [password, verify, servername] = ['password', 'verify', 'server_name_indication'].map((name) =>
    query.get(name),
  );
  if (typeof verify === 'string' && verify !== 'verify_peer' && verify !== 'verify_none')
    return refuse(', whose `verify` is neither verify_peer nor verify_none');
  return {
    ...Object.fromEntries(files),
    ...(typeof password === 'string' && { passphrase: password }),
    ...(typeof verify === 'string' && { rejectUnauthorized: verify === 'verify_peer' }),
    ...(typeof servername === 'string' && { servername }),
  };
}
