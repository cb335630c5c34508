import { createServer, type Server, type Socket } from 'node:net';
import { dialled, unbracketed } from './address';
import { clearCourse } from './fault-lane';
import { type Courses, type FaultDirection, FaultLink, type FaultTarget } from './fault-link';

export type { FaultDirection, FaultTarget } from './fault-link';

/** Called with bytes as the proxy reads them, before any fault touches them; `link` counts the connections from 1. */
export type FaultTap = (direction: FaultDirection, chunk: Buffer, link: number) => void;

/** Where the proxy itself listens. */
export interface FaultProxyOptions {
  /**
   * An address of this machine, IPv4 or IPv6; `0.0.0.0` or `::` for all of them, say, for clients in containers.
   * @default 127.0.0.1
   */
  readonly host?: string;
}

/**
 * A TCP proxy in this process that breaks connections on demand, between a client and a broker. Faults apply to present
 * links and to those that come, until `restore()`.
 *
 * While the target refuses connections, the proxy accepts a dial and then resets it: it cannot know earlier.
 *
 * @example
 * const proxy = await FaultProxy.before('amqp://localhost');
 * const queue = new InstanceQueue(proxy.url('amqp://localhost'));
 * proxy.cut();
 */
export class FaultProxy {
  readonly port: number;
  readonly #host: string;
  readonly #target: FaultTarget;
  readonly #links = new Map<number, FaultLink>();
  readonly #taps = new Set<FaultTap>();
  readonly #linkListeners = new Set<(link: number) => void>();
  #server: Server | undefined;
  #courses = clearCourses();
  #count = 0;

  private constructor(target: FaultTarget, host: string, server: Server, port: number) {
    this.#target = target;
    this.#host = host;
    this.port = port;
    this.#serve(server);
  }

  /** A proxy in front of this host and port. Rejects: Error, if it cannot listen at `host`, or finds no free port. */
  static async start(target: FaultTarget, options: FaultProxyOptions = {}): Promise<FaultProxy> {
    const host = unbracketed(options.host ?? '127.0.0.1');
    let cause: unknown;
    for (let tries = 0; tries < 100; tries += 1) {
      const port = randomPort();
      try {
        return new FaultProxy(target, host, await listenAt(port, host), port);
      } catch (error) {
        if (!isInUse(error)) throw error;
        cause = error;
      }
    }
    throw new Error(`Expected a free port on ${host} for the fault proxy, but 100 tries found none`, { cause });
  }

  /** A proxy in front of the broker of this URL. Rejects: TypeError, if it is no URL; else as `start`. */
  static async before(brokerUrl: string, options: FaultProxyOptions = {}): Promise<FaultProxy> {
    const { protocol, hostname: host, port } = new URL(brokerUrl);
    const byProtocol = protocol === 'amqps:' ? 5671 : 5672;
    return FaultProxy.start({ host, port: port === '' ? byProtocol : Number(port) }, options);
  }

  /** The same URL by way of the proxy. */
  url(brokerUrl: string): string {
    const url = new URL(brokerUrl);
    url.hostname = dialled(this.#host);
    url.port = String(this.port);
    return url.href;
  }

  /** How many connections there are now. */
  get links(): number {
    return this.#links.size;
  }

  /** How many connections there have been, which is the number of the last one. */
  get linkCount(): number {
    return this.#count;
  }

  /** Resets (RST) both ends of every link, or of those with these numbers. Returns how many. */
  cut(numbers?: ReadonlySet<number>): number {
    return this.#each((link) => link.reset(), numbers);
  }

  /** Resets the links that their clients left in a black hole, and that would stay for ever otherwise. Returns how many. */
  sweep(): number {
    const forsaken = [...this.#links.values()].filter((link) => link.forsaken);
    for (const link of forsaken) link.reset();
    return forsaken.length;
  }

  /** Ends (FIN) the client's side of every link. Returns how many. */
  finish(): number {
    return this.#each((link) => link.finish());
  }

  /** Stops listening: dials get ECONNREFUSED. Present links go on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Drops bytes both ways without a sign to either end; dials are accepted and get no answer. */
  blackHole(): void {
    this.#change(['toClient', 'toBroker'], (course) => (course.swallowed = true));
  }

  /** Delays each chunk, or a share of them (0 to 1), by `ms`, each way. Keeps their order. */
  delay(ms: number, share = 1): void {
    this.#change(['toClient', 'toBroker'], (course) => Object.assign(course, { delay: ms, share }));
  }

  /** Reads nothing from one side, or from both: the sender's buffers fill up, and it has to wait. */
  stopReading(side?: 'client' | 'broker'): void {
    const ways: FaultDirection[] =
      side === undefined ? ['toBroker', 'toClient'] : [side === 'client' ? 'toBroker' : 'toClient'];
    this.#change(ways, (course) => (course.unread = true));
  }

  /** Reads the bytes of one direction, and keeps them. */
  hold(direction: FaultDirection): void {
    this.#change([direction], (course) => (course.held = true));
  }

  /** Passes on what was held, in order. */
  release(): void {
    this.#change(['toClient', 'toBroker'], (course) => (course.held = false));
  }

  /**
   * Ends all faults, on the same port. Links that lost bytes in a black hole cannot go on: they are reset, or, with
   * `{ reset: false }`, stay silent, as after a real one.
   */
  async restore(options: { readonly reset?: boolean } = {}): Promise<void> {
    const lossy = this.#courses.toBroker.swallowed;
    if (lossy) {
      if (options.reset !== false) this.cut();
      this.#courses = clearCourses();
    } else {
      this.#change(['toClient', 'toBroker'], (course) => Object.assign(course, clearCourse()));
    }
    if (this.#server === undefined) this.#serve(await listenAt(this.port, this.#host));
  }

  /** Calls `listener` with the number of each new link. Returns how to stop. */
  onLink(listener: (link: number) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  /** The number of the next link. */
  nextLink(): Promise<number> {
    return new Promise((resolve) => {
      const off = this.onLink((link) => {
        off();
        resolve(link);
      });
    });
  }

  /** Calls `tap` with all bytes. Returns how to stop. */
  onBytes(tap: FaultTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** Resets every link and frees the port. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const stopped = new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
    const links = [...this.#links.values()];
    const closed = links.map((link) => link.closed);
    for (const link of links) link.reset();
    await Promise.all([stopped, ...closed]);
    this.#taps.clear();
    this.#linkListeners.clear();
  }

  #serve(server: Server): void {
    this.#server = server;
    server.on('connection', (client) => this.#accept(client));
    // Without a file descriptor for one more connection, say, that connection is lost, but not the proxy.
    server.on('error', () => undefined);
  }

  #accept(client: Socket): void {
    const number = (this.#count += 1);
    const target = this.#courses.toBroker.swallowed ? undefined : this.#target;
    const link = new FaultLink(client, target, this.#courses, (direction, chunk) => {
      for (const tap of this.#taps) tap(direction, chunk, number);
    });
    this.#links.set(number, link);
    void link.closed.then(() => this.#links.delete(number));
    for (const listener of this.#linkListeners) listener(number);
  }

  #change(ways: readonly FaultDirection[], change: (course: Courses[FaultDirection]) => void): void {
    for (const way of ways) change(this.#courses[way]);
    for (const link of this.#links.values()) link.pump();
  }

  #each(fault: (link: FaultLink) => void, numbers?: ReadonlySet<number>): number {
    const links = [...this.#links].flatMap(([number, link]) => (numbers?.has(number) === false ? [] : link));
    links.forEach(fault);
    return links.length;
  }
}

const isInUse = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && Reflect.get(error, 'code') === 'EADDRINUSE';

function clearCourses(): Courses {
  return { toClient: clearCourse(), toBroker: clearCourse() };
}

/**
 * Below the range from which Linux and macOS take the ports of outgoing connections. A broker or proxy that is down for a
 * while must get its port back: from that range, a dialling client could take it, or even be connected to itself.
 */
export const PORTS = { first: 20_000, last: 32_000 };

/** A random port of that range, free or not. */
export function randomPort(): number {
  return PORTS.first + Math.floor(Math.random() * (PORTS.last - PORTS.first));
}

/** A server that listens on this port. Rejects if the port is taken. */
export function listenAt(port: number, host = '127.0.0.1'): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
