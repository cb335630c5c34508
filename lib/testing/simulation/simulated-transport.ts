import { Observable, Subject } from 'rxjs';
import { ConnectionError } from '../../errors';
import type { Endpoint } from '../../transport/endpoints';
import { connectFailed, connectionLost } from '../../transport/link-errors';
import type { DialOptions, Link } from '../../transport/transport';
import type { LinkHost } from '../memory/memory-link';
import { MemoryLink } from '../memory/memory-link';
import type { BrokerTransport, TransportHost } from '../memory/memory-transport';
import { Refusal } from '../memory/refusal';
import type { Dialling, Direction, FaultyNetwork } from './faults';
import type { Random } from './random';
import { SimulatedLine, type Latency } from './simulated-line';

/** One connection with its network. */
class Connection {
  link: MemoryLink | undefined;
  readonly toBroker: SimulatedLine;
  readonly toClient: SimulatedLine;
  /** Waits of both ends for a sign of life. */
  readonly #silence: NodeJS.Timeout[] = [];
  #broken = false;

  constructor(
    readonly label: string,
    random: Random,
    latency: Latency,
    held: boolean,
  ) {
    this.toBroker = new SimulatedLine(random, latency);
    this.toClient = new SimulatedLine(random, latency, held);
  }

  /** Both ends notice, each in its own time. */
  cut(sentence: string, clientAfter: number, brokerAfter: number): void {
    if (this.#broken) return;
    this.#broken = true;
    this.toBroker.cut();
    this.toClient.cut();
    this.#notice(sentence, clientAfter, brokerAfter);
  }

  /** Nothing arrives; each end gives up after some time, unless `heal` comes first. */
  silence(clientAfter: number, brokerAfter: number): void {
    if (this.#broken) return;
    this.toBroker.hold();
    this.toClient.hold();
    this.#silence.push(...this.#notice('Heartbeat timeout', clientAfter, brokerAfter));
  }

  /** What was held arrives, unless one end has given up: then the other learns it. */
  heal(): void {
    for (const timer of this.#silence.splice(0)) clearTimeout(timer);
    if (this.#broken) this.#notice('read ECONNRESET', 1, 1);
    else {
      this.toBroker.release();
      this.toClient.release();
    }
  }

  #notice(sentence: string, clientAfter: number, brokerAfter: number): NodeJS.Timeout[] {
    const breaks = (end: () => void) => () => {
      this.#broken = true;
      this.toClient.cut();
      this.toBroker.cut();
      end();
    };
    const client = breaks(() => {
      this.link?.break(connectionLost(this.label, new Error(sentence)));
    });
    const broker = breaks(() => {
      this.link?.leave();
    });
    return [setTimeout(client, clientAfter), setTimeout(broker, brokerAfter)];
  }
}

/**
 * Connections to a broker in memory over a network that has faults: latency in both directions, connections that are cut after any
 * message in either direction, silence, dials that are refused or never answered. It waits by timers alone, so it runs in simulated
 * time as well as in real time.
 */
export class SimulatedTransport implements BrokerTransport, FaultyNetwork {
  readonly back$: Observable<void>;
  readonly #back$ = new Subject<void>();
  readonly #host: LinkHost;
  readonly #random: Random;
  readonly #latency: Latency;
  readonly #connections = new Set<Connection>();
  #dialling: Dialling = 'accept';
  #silent = false;
  #held = false;

  constructor(host: TransportHost, random: Random, latency: Latency) {
    this.back$ = this.#back$.asObservable();
    this.#random = random;
    this.#latency = latency;
    this.#host = {
      vhost: host.vhost,
      get alarm() {
        return host.alarm;
      },
      publish: (message, mandatory) => host.publish(message, mandatory),
      left: (link) => {
        for (const one of this.#connections) if (one.link === link) this.#connections.delete(one);
        host.vhost.left(link);
      },
    };
  }

  get size(): number {
    return this.#connections.size;
  }
  get busy(): boolean {
    return [...this.#connections].some(({ toBroker, toClient }) => toBroker.busy || toClient.busy);
  }

  dial({ label }: Endpoint, { connectTimeout }: Pick<DialOptions, 'connectTimeout'>): Observable<Link> {
    return new Observable((subscriber) => {
      const { least, most } = this.#latency;
      let connection: Connection | undefined;
      const fail = (code: string, sentence: string): void => {
        subscriber.error(connectFailed(label, Object.assign(new Error(sentence), { code })));
      };
      const timeout = setTimeout(() => {
        fail('ETIMEDOUT', 'no answer');
      }, connectTimeout);
      const answer = setTimeout(
        () => {
          if (this.#silent || this.#dialling === 'silence') return;
          clearTimeout(timeout);
          if (this.#dialling === 'refuse') {
            fail('ECONNREFUSED', 'connection refused');
            return;
          }
          const opened = new Connection(label, this.#random, this.#latency, this.#held);
          connection = opened;
          opened.link = new MemoryLink(
            this.#host,
            opened.toClient,
            label,
            (cause) => {
              subscriber.error(cause);
            },
            opened.toBroker,
          );
          this.#connections.add(opened);
          this.#host.vhost.wake();
          subscriber.next(opened.link);
        },
        4 * (least + this.#random.next() * (most - least)),
      );
      return () => {
        clearTimeout(timeout);
        clearTimeout(answer);
        const link = connection?.link;
        if (!link) return;
        link.lose(new ConnectionError('CONNECTION_CLOSED', label, `The connection to ${label} was closed.`));
        // Not in the same turn: the link may be in the middle of a callback.
        setTimeout(() => {
          link.break();
        }, 1);
      };
    });
  }

  refuse(): void {
    this.#dialling = 'refuse';
    for (const { link } of this.#connections) link?.stop();
    for (const one of [...this.#connections]) {
      one.link?.leave();
      one.cut('the broker is gone', 1, 1);
    }
  }

  accept(): void {
    this.#dialling = 'accept';
    setTimeout(() => {
      this.#back$.next();
    }, 1);
  }

  hold(): void {
    this.#held = true;
    for (const { toClient } of this.#connections) toClient.hold();
  }

  release(): void {
    this.#held = false;
    for (const { toClient } of this.#connections) toClient.release();
  }

  unblock(): void {
    for (const { link } of this.#connections) link?.unblock();
  }

  /** What happens to new connections from now on. */
  set dialling(dialling: Dialling) {
    this.#dialling = dialling;
  }

  /** Cuts a connection once some more messages have arrived in one direction. What the other end sees, it sees later. */
  cut(direction: Direction, after: number): void {
    const connection = this.#any();
    connection?.[direction].cutAfter(after, () => {
      const soon = (): number => this.#random.integer(1, 50);
      connection.cut('read ECONNRESET', soon(), soon());
    });
  }

  /** Nothing arrives for `ms`. Each end gives up after 20 to 30 s of silence, as with a heartbeat of 10 s. */
  silence(ms: number): void {
    this.#silent = true;
    const before = [...this.#connections];
    for (const one of before) {
      const giveUp = (): number => this.#random.integer(20_000, 30_000);
      one.silence(giveUp(), giveUp());
    }
    setTimeout(() => {
      this.#silent = false;
      for (const one of before) one.heal();
    }, ms);
  }

  /** The broker closes a channel, or the client does over an error of its own. */
  closeChannel(refusal: Refusal): void {
    const channels = this.#any()?.link?.openChannels ?? [];
    const channel = channels[this.#random.integer(0, channels.length - 1)];
    if (this.#random.chance(0.5)) channel?.refuse(refusal);
    else channel?.fail();
  }

  /** The broker shuts down: it closes every connection, and accepts none for `ms`. */
  restart(ms: number): void {
    this.#dialling = 'refuse';
    for (const { link } of this.#connections) link?.stop();
    for (const { link } of [...this.#connections])
      link?.refused(new Refusal(320, "broker forced connection closure with reason 'shutdown'"));
    this.#host.vhost.restart();
    setTimeout(() => {
      this.#dialling = 'accept';
    }, ms);
  }

  #any(): Connection | undefined {
    const all = [...this.#connections];
    return all[this.#random.integer(0, all.length - 1)];
  }
}
