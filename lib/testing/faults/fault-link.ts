import { connect, type Socket } from 'node:net';
import { Lane, type Course } from './fault-lane';
import { abort } from './abort';

/** The way of the bytes. */
export type FaultDirection = 'toClient' | 'toBroker';

export type Courses = Readonly<Record<FaultDirection, Course>>;

/** Where the connections go. */
export interface FaultTarget {
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
  readonly #lanes: readonly Lane[];
  #left = false;

  /** Without a target nothing is dialled: the client has come into a black hole. */
  constructor(
    client: Socket,
    target: FaultTarget | undefined,
    courses: Courses,
    tap: (direction: FaultDirection, chunk: Buffer) => void,
  ) {
    const broker = target && connect({ ...target, noDelay: true, allowHalfOpen: true });
    client.setNoDelay(true);
    this.courses = courses;
    this.#client = client;
    this.#broker = broker;
    this.#lanes = [
      new Lane(client, broker, courses.toBroker, (chunk) => tap('toBroker', chunk)),
      ...(broker ? [new Lane(broker, client, courses.toClient, (chunk) => tap('toClient', chunk))] : []),
    ];
    client.on('error', () => this.#aborted('toBroker'));
    client.on('end', () => (this.#left = true)).on('close', () => (this.#left = true));
    broker?.on('error', () => this.#aborted('toClient'));
    this.closed = Promise.all([closing(client), ...(broker ? [closing(broker)] : [])]).then(() => this.#clear());
  }

  /** Has the client gone without anybody hearing of it? */
  get forsaken(): boolean {
    return this.#left && this.courses.toBroker.swallowed;
  }

  /** An RST to both ends, at once. */
  reset(): void {
    this.#clear();
    abort(this.#client);
    if (this.#broker) abort(this.#broker);
  }

  /** A FIN to the client; what it still sends is passed on. */
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
