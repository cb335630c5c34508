import { connect, type Socket } from 'node:net';
import { unbracketed } from './address';
import { type Course, FaultLane } from './fault-lane';

/** The direction in which bytes travel. */
export type FaultDirection = 'toClient' | 'toBroker';

export type Courses = Readonly<Record<FaultDirection, Course>>;

/** Where the proxy passes connections on to. */
export interface FaultTarget {
  /** A name or an address; an IPv6 address with brackets or without. */
  readonly host: string;
  readonly port: number;
}

/** One connection through the proxy: a socket to the client, one to the broker, and a lane each way. */
export class FaultLink {
  /** Settles once both sockets are closed. */
  readonly closed: Promise<void>;
  readonly courses: Courses;
  readonly #client: Socket;
  readonly #broker: Socket | undefined;
  readonly #lanes: readonly FaultLane[];
  #left = false;

  /** Without a target it dials nothing: the client has connected to a black hole. */
  constructor(
    client: Socket,
    target: FaultTarget | undefined,
    courses: Courses,
    tap: (direction: FaultDirection, chunk: Buffer) => void,
  ) {
    const broker =
      target && connect({ host: unbracketed(target.host), port: target.port, noDelay: true, allowHalfOpen: true });
    client.setNoDelay(true);
    this.courses = courses;
    this.#client = client;
    this.#broker = broker;
    this.#lanes = [
      new FaultLane(client, broker, courses.toBroker, (chunk) => tap('toBroker', chunk)),
      ...(broker ? [new FaultLane(broker, client, courses.toClient, (chunk) => tap('toClient', chunk))] : []),
    ];
    client.on('error', () => this.#aborted('toBroker'));
    client.on('end', () => (this.#left = true)).on('close', () => (this.#left = true));
    broker?.on('error', () => this.#aborted('toClient'));
    this.closed = Promise.all([closing(client), ...(broker ? [closing(broker)] : [])]).then(() => this.#clear());
  }

  /** Has the client left while a black hole kept that from the broker? */
  get forsaken(): boolean {
    return this.#left && this.courses.toBroker.swallowed;
  }

  /** An RST to both ends, at once. */
  reset(): void {
    this.#clear();
    abort(this.#client);
    if (this.#broker) abort(this.#broker);
  }

  /** A FIN to the client; what the client still sends is passed on. */
  finish(): void {
    this.#client.end();
  }

  /** Passes on what the courses let pass now. */
  pump(): void {
    for (const lane of this.#lanes) lane.pump();
  }

  /** An abrupt end on one side becomes one on the other, unless a black hole lies between. */
  #aborted(way: FaultDirection): void {
    if (!this.courses[way].swallowed) this.reset();
  }

  #clear(): void {
    for (const lane of this.#lanes) lane.clear();
  }
}

function closing(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

/** Ends a connection with an RST, and destroys the socket in any case. */
export function abort(socket: Socket): void {
  if (socket.destroyed) return;
  // resetAndDestroy would wait until a pending dial is answered. While a shutdown is pending a reset fails (EINVAL), and
  // 'close' never comes.
  if (socket.connecting || (socket.writableEnded && !socket.writableFinished)) socket.destroy();
  else socket.resetAndDestroy();
}
