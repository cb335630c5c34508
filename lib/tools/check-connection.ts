import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsOptions } from 'node:tls';
import { firstValueFrom, from, map, Observable, race, timer } from 'rxjs';
import { InstanceQueue } from '../client/instance-queue';
import { ChannelError, ConnectionError, isError, sentenceOf } from '../errors';
import { checkOptions, duration, type Shape, shortString, string } from '../options';
import { type Endpoint, parseEndpoint } from '../transport/endpoints';
import { connectFailed } from '../transport/link-errors';
import { tlsOptions } from '../transport/tls-options';

/** What to connect to, and what to try there. */
export interface CheckOptions {
  /** An AMQP URL. */
  readonly url: string;
  /** As for a connection; parameters in the query of the URL take precedence. */
  readonly tls?: TlsOptions;
  /** A queue whose existence and depth are looked up. @default none */
  readonly queue?: string;
  /** ms for each step. @default 10 000 */
  readonly timeout?: number;
}

/**
 * A step of a check. `dns`: the name has an address; `tcp`: something listens; `tls`: the certificate is trusted and for that host;
 * `login`: AMQP, credentials and virtual host; `configure`, `write`, `read`: the permissions, tried with an exclusive queue that is gone
 * afterwards; `queue`: the queue that was named.
 */
export interface CheckStep {
  readonly name: 'dns' | 'tcp' | 'tls' | 'login' | 'configure' | 'write' | 'read' | 'queue';
  /** `skipped`: it could not be tried, because an earlier step failed. */
  readonly status: 'ok' | 'failed' | 'skipped';
  /** What was found, or why it failed and what to do, without credentials. */
  readonly text: string;
  /** The error of a step that failed. */
  readonly error?: Error;
}

const CHECK: Shape<CheckOptions> = { url: string, tls: tlsOptions, queue: shortString(), timeout: duration(1) };
/** ms */
const WITHIN = 10_000;
const DAY = 24 * 3_600_000;

/**
 * Connects as a service would, step by step, and explains what is refused.
 *
 * Cold. Emits: each step, as soon as it is known. Completes: behind the last; a failed step is not an error. Errors: never.
 * Unsubscribe: what is being tried is given up, and nothing further is tried.
 *
 * @throws OptionsError if the URL or an option cannot be right
 *
 * @example
 * checkConnection({ url: 'amqps://shop@rabbit.internal/orders' }).subscribe(({ name, status, text }) => console.log(name, status, text));
 */
export function checkConnection(options: CheckOptions): Observable<CheckStep> {
  checkOptions<CheckOptions>(options, CHECK, { of: 'checkConnection()', required: ['url'], secret: true });
  const endpoint = parseEndpoint(options.url);
  return new Observable((subscriber) => {
    // A step may take its whole time, in which its socket would keep the process.
    const left = new AbortController();
    from(steps(endpoint, options, left.signal)).subscribe(subscriber);
    return () => {
      left.abort();
    };
  });
}

async function* steps(
  endpoint: Endpoint,
  options: CheckOptions,
  left: AbortSignal,
): AsyncGenerator<CheckStep, void, void> {
  // Node takes whole ms alone for the time of a signal.
  const timeout = Math.ceil(options.timeout ?? WITHIN);
  const late = (): AbortSignal => AbortSignal.any([left, AbortSignal.timeout(timeout)]);
  const { hostname, port, label, protocol } = endpoint;
  const reach = [
    ['dns', () => resolve(hostname, timeout)],
    ['tcp', () => openTcp(hostname, port, timeout, late())],
    ...(protocol === 'amqps' ? ([['tls', () => openTls(endpoint, options.tls, timeout, late())]] as const) : []),
  ] as const;
  for (const [name, work] of reach) {
    const step = await attempt(name, work, (cause) => connectFailed(label, cause));
    yield step;
    if (step.status === 'failed') return;
  }
  const queue = new InstanceQueue({
    url: options.url,
    ...(options.tls && { tls: options.tls }),
    name: 'instance-queue check',
    logger: 'silent',
    reconnect: { initialAttempts: 1, attempts: 0 },
    connectTimeout: timeout,
  });
  left.addEventListener('abort', () => void queue.close({ drainTimeout: 0 }));
  try {
    const login = await attempt('login', () => logIn(queue, endpoint));
    yield login;
    if (login.status === 'ok') yield* permissions(queue, endpoint, options, timeout);
  } finally {
    await queue.close({ drainTimeout: 0 });
  }
}

async function attempt(
  name: CheckStep['name'],
  work: () => Promise<string>,
  explain: (cause: unknown) => unknown = (cause) => cause,
): Promise<CheckStep> {
  try {
    return { name, status: 'ok', text: await work() };
  } catch (cause) {
    const error = explain(cause);
    return {
      name,
      status: 'failed',
      text: sentenceOf(error),
      error: isError(error) ? error : new Error(sentenceOf(error)),
    };
  }
}

async function resolve(hostname: string, timeout: number): Promise<string> {
  const addresses = await inTime(lookup(hostname, { all: true }), timeout, noAnswer(timeout));
  return `${hostname} is ${[...new Set(addresses.map(({ address }) => address))].join(', ')}`;
}

async function openTcp(host: string, port: number, timeout: number, signal: AbortSignal): Promise<string> {
  const socket = connectTcp({ host, port, signal });
  // It may go on failing after the first answer.
  socket.on('error', () => undefined);
  const began = performance.now();
  try {
    await once(socket, 'connect');
    return `port ${String(port)} accepts connections (${(performance.now() - began).toFixed(0)} ms)`;
  } catch (error) {
    throw timedOut(error, timeout);
  } finally {
    socket.destroy();
  }
}

async function openTls(
  endpoint: Endpoint,
  tls: TlsOptions | undefined,
  timeout: number,
  signal: AbortSignal,
): Promise<string> {
  const { hostname: host, port } = endpoint;
  const socket = connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...tls, ...endpoint.tls });
  socket.on('error', () => undefined);
  try {
    await once(socket, 'secureConnect', { signal });
    const { subject, valid_to: until } = socket.getPeerCertificate();
    const days = Math.floor((new Date(until).getTime() - Date.now()) / DAY);
    const name: unknown = subject.CN;
    const trusted = socket.authorized ? '' : ', which is not verified (`verify_none`)';
    return `${socket.getProtocol() ?? 'TLS'}; the certificate of ${typeof name === 'string' ? name : host} is good for ${String(days)} days${trusted}`;
  } catch (error) {
    throw timedOut(error, timeout);
  } finally {
    socket.destroy();
  }
}

/** An AbortSignal hides that it was the time. */
function timedOut(error: unknown, timeout: number): unknown {
  if (!isError(error) || error.name !== 'AbortError') return error;
  return noAnswer(timeout, error);
}

const noAnswer = (timeout: number, cause?: unknown): Error =>
  new Error(`no answer within ${String(timeout)} ms. Is a firewall in between?`, { cause });

function inTime<T>(work: Promise<T>, timeout: number, otherwise: Error): Promise<T> {
  const late$ = timer(timeout).pipe(
    map(() => {
      throw otherwise;
    }),
  );
  return firstValueFrom(race(from(work), late$));
}

async function logIn(queue: InstanceQueue, { username, vhost, external }: Endpoint): Promise<string> {
  await queue.connect();
  const { broker, heartbeat, frameMax } = await queue.admin.link();
  const product = broker ? `${broker.product} ${broker.version}` : 'a broker that does not say which';
  const who = external ? 'the client certificate' : `user ${username}`;
  return `${product}, as ${who} in virtual host ${vhost}; heartbeat ${String(heartbeat)} s, frames of ${String(frameMax)} bytes`;
}

async function* permissions(
  queue: InstanceQueue,
  { label }: Endpoint,
  options: CheckOptions,
  timeout: number,
): AsyncGenerator<CheckStep, void, void> {
  const { admin } = queue;
  const name = `instance-queue-check-${randomUUID()}`;
  // AMQP itself waits for ever, as long as the heartbeats come.
  const answered = <T>(work: Promise<T>): Promise<T> => {
    const sentence = `The broker at ${label} gave no answer within ${String(timeout)} ms.`;
    return inTime(work, timeout, new ConnectionError('CONNECTION_LOST', label, sentence));
  };
  const declare = async (): Promise<string> => {
    await admin.declare({ queues: [{ name, exclusive: true, autoDelete: true, durable: false }] });
    return 'may declare queues';
  };
  const configure = await attempt('configure', () => answered(declare()), permission);
  yield configure;
  if (configure.status === 'failed') {
    const text = 'not tried, because that needs a queue of its own';
    yield { name: 'write', status: 'skipped', text };
    yield { name: 'read', status: 'skipped', text };
  } else {
    const write = async (): Promise<string> => {
      const producer = queue.producer({ declare: false, timeout, onUnknown: 'reject' });
      await producer.send({ exchange: '', routingKey: name, body: 'check' });
      return 'may publish to the default exchange';
    };
    const written = await attempt('write', write, permission);
    yield written;
    const read = async (): Promise<string> => {
      (await admin.get(name))?.ack();
      return 'may take messages';
    };
    yield await attempt('read', () => answered(read()), permission);
    await answered(admin.delete({ queue: name })).catch(() => undefined);
  }
  const { queue: asked } = options;
  if (asked !== undefined) yield await attempt('queue', () => answered(inspect(queue, asked)), permission);
}

async function inspect({ admin }: InstanceQueue, name: string): Promise<string> {
  const depth = await admin.inspect(name);
  if (!depth) throw new ChannelError(`There is no queue \`${name}\` in this virtual host.`, { replyCode: 404 });
  return `${name}: ${String(depth.messages)} messages ready, ${String(depth.consumers)} consumers`;
}

/** RabbitMQ ends no sentence. */
const ended = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** 403 means a permission, which is given per name. */
function permission(cause: unknown): unknown {
  const replyCode: unknown = isError(cause) ? Reflect.get(cause, 'replyCode') : undefined;
  if (cause instanceof ConnectionError || replyCode !== 403) return cause;
  return new ChannelError(
    `${ended(sentenceOf(cause))} The permissions of a user are patterns of names: \`rabbitmqctl list_user_permissions USER\` shows them.`,
    { cause, replyCode: 403 },
  );
}
