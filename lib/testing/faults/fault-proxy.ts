import type { Server, Socket } from 'node:net';
import { clearCourse } from './fault-lane';
import { FaultLink, type Courses, type FaultDirection, type FaultTarget } from './fault-link';
import { listenAt, randomPort } from './listening';

export type { FaultDirection, FaultTarget } from './fault-link';

/** Is told of bytes as the proxy reads them, before any fault touches them; `link` counts the connections from 1. */
export type FaultTap = (direction: FaultDirection, chunk: Buffer, link: number) => void;

/**
 * A TCP proxy on 127.0.0.1 that breaks connections on demand: between a client and a broker, in this process. Faults apply
 * to the links there are and to those that come, until `restore()`.
 *
 * While the target refuses connections, a dial to the proxy is accepted and then reset: it can't know earlier.
 *
 * @example
 * const proxy = await FaultProxy.before('amqp://localhost');
 * const queue = new InstanceQueue(proxy.url('amqp://localhost'));
 * proxy.cut();
 */
export class FaultProxy {
  readonly port: number;
  readonly #target: FaultTarget;
  readonly #links = new Map<number, FaultLink>();
  readonly #taps = new Set<FaultTap>();
  readonly #linkListeners = new Set<(link: number) => void>();
  #server: Server | undefined;
  #courses = clearCourses();
  #count = 0;

  private constructor(target: FaultTarget, server: Server, port: number) {
    this.#target = target;
    this.port = port;
    this.#serve(server);
  }

  /** A proxy before this host and port. Rejects: Error, if there is no free port. */
  static async start(target: FaultTarget): Promise<FaultProxy> {
    for (let tries = 0; tries < 100; tries += 1) {
      const port = randomPort();
      const server = await listenAt(port).catch(() => undefined);
      if (server !== undefined) return new FaultProxy(target, server, port);
    }
    throw new Error('Expected a free port on 127.0.0.1 for the fault proxy, but 100 tries found none');
  }

  /** A proxy before the broker of this url. */
  static before(brokerUrl: string): Promise<FaultProxy> {
    const { hostname, port } = new URL(brokerUrl);
    return FaultProxy.start({ host: hostname, port: port === '' ? 5672 : Number(port) });
  }

  /** The same url, by way of the proxy. */
  url(brokerUrl: string): string {
    const url = new URL(brokerUrl);
    url.hostname = '127.0.0.1';
    url.port = String(this.port);
    return url.href;
  }

  /** How many connections there are now. */
  get links(): number {
    return this.#links.size;
  }

  /** How many connections there have been: the number of the last one. */
  get linkCount(): number {
    return this.#count;
  }

  /** RST to both ends of every link, or of those with these numbers. Gives how many. */
  cut(numbers?: ReadonlySet<number>): number {
    return this.#each((link) => link.reset(), numbers);
  }

  /** The links that their clients have left in a black hole: nobody hears of that, and they would stay for ever. Gives how many. */
  sweep(): number {
    const forsaken = [...this.#links.values()].filter((link) => link.forsaken);
    for (const link of forsaken) link.reset();
    return forsaken.length;
  }

  /** FIN to the client of every link. Gives how many. */
  finish(): number {
    return this.#each((link) => link.finish());
  }

  /** No listener any more: dials get ECONNREFUSED. The links are left alone. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Bytes vanish both ways, and nobody is told; dials are accepted and get nothing. */
  blackHole(): void {
    this.#change(['toClient', 'toBroker'], (course) => (course.swallowed = true));
  }

  /** Each chunk, or a share of them from 0 to 1, is this much later (ms), each way. The order is kept. */
  delay(ms: number, share = 1): void {
    this.#change(['toClient', 'toBroker'], (course) => Object.assign(course, { delay: ms, share }));
  }

  /** Nothing is read from one side, or from both: its buffers fill up, and it has to wait. */
  stopReading(side?: 'client' | 'broker'): void {
    const ways: FaultDirection[] =
      side === undefined ? ['toBroker', 'toClient'] : [side === 'client' ? 'toBroker' : 'toClient'];
    this.#change(ways, (course) => (course.unread = true));
  }

  /** The bytes of one direction are read, but wait here. */
  hold(direction: FaultDirection): void {
    this.#change([direction], (course) => (course.held = true));
  }

  /** What was held goes on, in order. */
  release(): void {
    this.#change(['toClient', 'toBroker'], (course) => (course.held = false));
  }

  /**
   * Everything as before, on the same port. Links that lost bytes in a black hole can't go on and are reset; with
   * `{ reset: false }` they stay where they are, as after a real one: silent, with nobody told.
   */
  async restore(options: { readonly reset?: boolean } = {}): Promise<void> {
    const lossy = this.#courses.toBroker.swallowed;
    if (lossy) {
      if (options.reset !== false) this.cut();
      this.#courses = clearCourses();
    } else {
      this.#change(['toClient', 'toBroker'], (course) => Object.assign(course, clearCourse()));
    }
    if (this.#server === undefined) this.#serve(await listenAt(this.port));
  }

  /** Is told the number of each link that comes. Gives a function that ends it. */
  onLink(listener: (link: number) => void): () => void {
    this.#linkListeners.add(listener);
    return () => this.#linkListeners.delete(listener);
  }

  /** The number of the next link that comes. */
  nextLink(): Promise<number> {
    return new Promise((resolve) => {
      const off = this.onLink((link) => {
        off();
        resolve(link);
      });
    });
  }

  /** Gives a function that ends it. */
  onBytes(tap: FaultTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** Everything gone, the port free. */
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
    // E.g. no file descriptor left for one more connection: that one is lost, the proxy is not.
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

function clearCourses(): Courses {
  return { toClient: clearCourse(), toBroker: clearCourse() };
}
