import type { Random } from '../../../lib/testing/simulation/random';
import type { Direction } from '../../../lib/testing/simulation/faults';
import { ByteLine, type Clock, type LineOptions } from './byte-line';
import type { SimulatedSocket } from './simulated-socket';

/** The broker's end of a connection. */
export interface BrokerEnd {
  read(bytes: Buffer): void;
  /** The client has gone, or seems to have. */
  left(): void;
}

/** One established connection, and what can go wrong with it. */
export class TcpConnection {
  readonly toBroker: ByteLine;
  readonly toClient: ByteLine;
  readonly #clock: Clock;
  readonly #socket: SimulatedSocket;
  readonly #onEnd: () => void;
  #broker: BrokerEnd | undefined;
  #clientOpen = true;
  #brokerOpen = true;

  /** `onEnd`: neither end has it open any more. */
  constructor(clock: Clock, random: Random, options: LineOptions, socket: SimulatedSocket, onEnd: () => void) {
    this.toBroker = new ByteLine(clock, random, options);
    // The broker never waits for room: what it has to say may fill its memory.
    this.toClient = new ByteLine(clock, random, options);
    this.#clock = clock;
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.onGone = (sent) => {
      this.#clientOpen = false;
      // What the kernel has is still sent, unless there is more that it cannot take.
      this.toBroker.end(sent && random.chance(0.5) ? 'fin' : 'rst');
      this.#ended();
    };
  }

  /** Does the client have it open? */
  get clientOpen(): boolean {
    return this.#clientOpen;
  }
  get busy(): boolean {
    return this.toBroker.busy || (this.#clientOpen && this.toClient.busy);
  }

  begin(broker: BrokerEnd): void {
    this.#broker = broker;
    this.toBroker.reader = {
      read: (bytes) => {
        if (this.#brokerOpen) broker.read(bytes);
        else this.toClient.end('rst');
      },
      end: () => {
        this.endAtBroker();
      },
    };
    this.#socket.establish(this.toBroker, this.toClient);
  }

  /** What the broker writes. */
  write(bytes: Buffer): void {
    if (this.#brokerOpen) this.toClient.give(bytes);
  }

  /** The broker closes its end, or learns that the other is closed. */
  endAtBroker(): void {
    if (!this.#brokerOpen) return;
    this.#brokerOpen = false;
    this.#broker?.left();
    this.toClient.end('fin');
    this.#ended();
  }

  /** Something in between aborts the connection; both ends are told. */
  reset(): void {
    if (!this.#clientOpen && !this.#brokerOpen) return;
    this.toBroker.end('rst');
    this.toClient.end('rst');
  }

  /** Something in between closes one direction, as if that end had. */
  halfClose(direction: Direction): void {
    this[direction].end('fin');
  }

  /** It breaks after that many more bytes, or, where there are fewer, after `within` ms. */
  cut(direction: Direction, bytes: number, within: number): void {
    const reset = (): void => {
      this.reset();
    };
    this[direction].cutAfter(bytes, reset);
    this.#clock.after(within, reset);
  }

  hold(): void {
    this.toBroker.hold();
    this.toClient.hold();
  }
  release(): void {
    this.toBroker.release();
    this.toClient.release();
  }

  /** Neither end will ever hear of the other again. */
  die(): void {
    this.toBroker.die();
    this.toClient.die();
  }

  #ended(): void {
    if (!this.#clientOpen && !this.#brokerOpen) this.#onEnd();
  }
}
