import net from 'node:net';
import { NEVER, throwError, type Observable } from 'rxjs';
import type { Dialling, Direction, FaultyNetwork } from '../../../lib/testing/simulation/faults';
import type { Random } from '../../../lib/testing/simulation/random';
import type { BrokerTransport, TransportHost } from '../../../lib/testing/memory/memory-transport';
import { Refusal } from '../../../lib/testing/memory/refusal';
import { BrokerConnection } from './broker-connection';
import type { Clock } from './byte-line';
import { SimulatedSocket, type SocketOptions } from './simulated-socket';
import { CUT_WITHIN, type SocketFault, type SocketPlan } from './socket-plan';
import { TcpConnection } from './tcp-connection';

/** Bytes of a method or two: what a cut "after so many messages" comes to. */
const BYTES_PER_MESSAGE = 40;

interface Open {
  readonly tcp: TcpConnection;
  readonly broker: BrokerConnection;
}

/** TCP between clients and the broker in memory, which speaks AMQP 0-9-1 at the other end. */
export class SocketNetwork implements BrokerTransport, FaultyNetwork {
  readonly back$ = NEVER;
  dialling: Dialling = 'accept';
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #plan: SocketPlan;
  readonly #host: TransportHost;
  readonly #onNonsense: (what: string) => void;
  readonly #connections = new Set<Open>();
  readonly #sockets = new Set<SimulatedSocket>();
  #silent = 0;
  /** Outages in which connections are accepted, and nothing is said on them. */
  #mute = 0;
  #closesAtOpen = 0;
  #held = false;

  /** `onNonsense`: a client sent what AMQP does not allow. */
  constructor(clock: Clock, random: Random, plan: SocketPlan, host: TransportHost, onNonsense: (what: string) => void) {
    this.#clock = clock;
    this.#random = random;
    this.#plan = plan;
    this.#host = host;
    this.#onNonsense = onNonsense;
  }

  get size(): number {
    return [...this.#connections].filter(({ broker }) => !broker.gone).length;
  }
  get busy(): boolean {
    return [...this.#connections].some(({ tcp, broker }) => tcp.busy || broker.busy);
  }
  /** Sockets that no client has closed. */
  get clientSockets(): number {
    return this.#sockets.size;
  }

  dial(): Observable<never> {
    return throwError(() => new Error('Clients dial by `net.connect` here.'));
  }

  /** Makes `net.connect` dial this network. Returns what ends that. */
  replaceNet(): () => void {
    const { connect } = net;
    const dial = (options: SocketOptions, onConnect: () => void): SimulatedSocket => this.#dial(options, onConnect);
    Object.defineProperty(net, 'connect', { value: dial, configurable: true, writable: true, enumerable: true });
    return () => {
      Object.defineProperty(net, 'connect', { value: connect, configurable: true, writable: true, enumerable: true });
    };
  }

  #dial(options: SocketOptions, onConnect: () => void): SimulatedSocket {
    const socket = new SimulatedSocket(options, this.#plan.highWaterMark);
    this.#sockets.add(socket);
    socket.once('connect', onConnect);
    socket.onGone = () => {
      this.#sockets.delete(socket);
    };
    const { least, most } = this.#plan.latency;
    // The way there and back.
    this.#clock.after(2 * (least + this.#random.next() * (most - least)), () => {
      if (socket.destroyed || this.#silent > 0 || this.dialling === 'silence') return;
      if (this.#mute > 0) this.#acceptMute(socket);
      else if (this.dialling === 'refuse') socket.break('connect', 'ECONNREFUSED');
      else this.#accept(socket);
    });
    return socket;
  }

  /** The kernel of the host accepts it, and nothing reads from it. */
  #acceptMute(socket: SimulatedSocket): void {
    const { onGone } = socket;
    const tcp = new TcpConnection(this.#clock, this.#random, this.#plan, socket, () => undefined);
    const { onGone: goneHere } = socket;
    socket.onGone = (sent) => {
      onGone(sent);
      goneHere(sent);
    };
    tcp.begin({ read: () => undefined, left: () => undefined });
  }

  #accept(socket: SimulatedSocket): void {
    const tcp: TcpConnection = new TcpConnection(this.#clock, this.#random, this.#plan, socket, () => {
      this.#connections.delete(open);
    });
    const { onGone } = socket;
    socket.onGone = (sent) => {
      this.#sockets.delete(socket);
      onGone(sent);
    };
    const broker = new BrokerConnection(this.#host, this.#clock, this.#random, this.#plan, {
      write: (bytes) => {
        tcp.write(bytes);
      },
      end: () => {
        tcp.endAtBroker();
      },
      closesAtOpen: () => this.#closesAtOpen > 0 && this.#closesAtOpen-- > 0,
      nonsense: this.#onNonsense,
    });
    const open = { tcp, broker };
    this.#connections.add(open);
    if (this.#held) tcp.toClient.hold();
    this.#host.vhost.wake();
    tcp.begin(broker);
  }

  // ── commands of the broker in memory ──

  refuse(): void {
    this.dialling = 'refuse';
    for (const { broker } of this.#connections) broker.stop();
    for (const { tcp } of [...this.#connections]) {
      tcp.endAtBroker();
      tcp.reset();
    }
  }
  accept(): void {
    this.dialling = 'accept';
  }
  hold(): void {
    if (this.#held) return;
    this.#held = true;
    for (const { tcp } of this.#connections) tcp.toClient.hold();
  }
  release(): void {
    if (!this.#held) return;
    this.#held = false;
    for (const { tcp } of this.#connections) tcp.toClient.release();
  }
  unblock(): void {
    for (const { broker } of this.#connections) broker.unblock();
  }

  // ── faults ──

  cut(direction: Direction, after: number): void {
    this.#any()?.tcp.cut(direction, after * BYTES_PER_MESSAGE, CUT_WITHIN);
  }

  silence(ms: number): void {
    this.#blackHole(ms, true);
  }

  closeChannel(refusal: Refusal): void {
    this.#any()?.broker.closeChannel(refusal);
  }

  restart(ms: number): void {
    this.dialling = 'refuse';
    for (const { broker } of this.#connections) broker.stop();
    const refusal = new Refusal(320, "broker forced connection closure with reason 'shutdown'");
    for (const { broker } of [...this.#connections]) broker.refuse(refusal);
    this.#host.vhost.restart();
    this.#clock.after(ms, () => {
      this.dialling = 'accept';
    });
  }

  inflict(fault: SocketFault): void {
    const one = this.#any();
    switch (fault.kind) {
      case 'reset':
        one?.tcp.reset();
        break;
      case 'nonsense':
        one?.broker.writeNonsense();
        break;
      case 'close-at-open':
        this.#closesAtOpen++;
        break;
      case 'half-close':
        one?.tcp.halfClose(fault.direction);
        break;
      case 'cut-bytes':
        one?.tcp.cut(fault.direction, fault.bytes, CUT_WITHIN);
        break;
      case 'stall':
        one?.tcp.toBroker.hold();
        this.#clock.after(fault.ms, () => {
          one?.tcp.toBroker.release();
        });
        break;
      case 'outage':
        this.#outage(fault.ms, fault.accepts);
        break;
      case 'black-hole':
        this.#blackHole(fault.ms, fault.heals);
    }
  }

  #outage(ms: number, accepts: boolean): void {
    const change = (by: 1 | -1): void => {
      if (accepts) this.#mute += by;
      else this.#silent += by;
    };
    change(1);
    for (const { tcp } of [...this.#connections]) tcp.reset();
    this.#clock.after(ms, () => {
      change(-1);
    });
  }

  #blackHole(ms: number, heals: boolean): void {
    const affected = [...this.#connections];
    for (const { tcp } of affected) {
      if (heals) tcp.hold();
      else tcp.die();
    }
    this.#silent++;
    this.#clock.after(ms, () => {
      this.#silent--;
      if (heals) for (const { tcp } of affected) tcp.release();
    });
  }

  #any(): Open | undefined {
    const all = [...this.#connections];
    return all[this.#random.integer(0, all.length - 1)];
  }
}
