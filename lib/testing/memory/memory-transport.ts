import { Observable, Subject } from 'rxjs';
import { ConnectionError } from '../../errors';
import { connectFailed, connectionLost } from '../../transport/link-errors';
import type { Endpoint } from '../../transport/endpoints';
import type { Link, Transport } from '../../transport/transport';
import { MemoryLink, type LinkHost } from './memory-link';
import { ReplyLine } from './reply-line';
import { Scheduler } from './scheduler';
import type { StoredMessage } from './stored-message';
import type { Published, Vhost } from './vhost';

/** What the connections need of their broker. */
export interface TransportHost {
  readonly vhost: Vhost;
  readonly alarm: string | undefined;
  publish(message: StoredMessage, mandatory: boolean): Published | 'returned';
}

/** A transport that a broker in memory commands. */
export interface BrokerTransport extends Transport {
  /** How many connections are open. */
  readonly size: number;
  /** Is anything on its way on one of them? */
  readonly busy: boolean;
  /** Breaks all connections; until `accept` no other opens. */
  refuse(): void;
  accept(): void;
  /** What the broker sends does not arrive until `release`. */
  hold(): void;
  release(): void;
  /** An alarm is over. */
  unblock(): void;
}

/** The connections to one broker in memory: how they open, what happens to all of them, and how they end. */
export class MemoryTransport implements BrokerTransport {
  readonly back$: Observable<void>;
  readonly #back$ = new Subject<void>();
  readonly #host: LinkHost;
  readonly #scheduler = new Scheduler();
  readonly #links = new Set<MemoryLink>();
  #refusing = false;
  #held = false;

  constructor(host: TransportHost) {
    this.back$ = this.#back$.asObservable();
    this.#host = {
      vhost: host.vhost,
      get alarm() {
        return host.alarm;
      },
      publish: (message, mandatory) => host.publish(message, mandatory),
      left: (link) => {
        this.#links.delete(link);
        host.vhost.left(link);
      },
    };
  }

  get size(): number {
    return this.#links.size;
  }
  get busy(): boolean {
    return this.#scheduler.busy || [...this.#links].some(({ replies }) => replies.busy);
  }

  dial({ label }: Endpoint): Observable<Link> {
    return new Observable((subscriber) => {
      let link: MemoryLink | undefined;
      this.#scheduler.soon(() => {
        if (subscriber.closed) return;
        if (this.#refusing) {
          subscriber.error(
            connectFailed(label, new Error('the in-memory broker refuses connections until `reconnect()`.')),
          );
          return;
        }
        link = new MemoryLink(this.#host, new ReplyLine(this.#scheduler, this.#held), label, (cause) => {
          subscriber.error(cause);
        });
        this.#links.add(link);
        this.#host.vhost.wake();
        subscriber.next(link);
      });
      return () => {
        if (!link) return;
        const left = link;
        left.lose(new ConnectionError('CONNECTION_CLOSED', label, `The connection to ${label} was closed.`));
        // Not in the same turn: the link may be in the middle of a callback.
        this.#scheduler.soon(() => {
          left.break();
        });
      };
    });
  }

  refuse(): void {
    this.#refusing = true;
    const links = [...this.#links];
    for (const link of links) link.stop();
    for (const link of links) link.leave();
    // The clients notice in a turn of its own: the command may come from a callback of one of the connections.
    this.#scheduler.soon(() => {
      const cause = new Error('the in-memory broker broke it (`disconnect()`).');
      for (const link of links) link.break(connectionLost(link.endpoint, cause));
    });
  }

  accept(): void {
    this.#refusing = false;
    this.#scheduler.soon(() => {
      this.#back$.next();
    });
  }

  hold(): void {
    this.#held = true;
    for (const { replies } of this.#links) replies.hold();
  }

  release(): void {
    this.#held = false;
    for (const { replies } of this.#links) replies.release();
  }

  unblock(): void {
    for (const link of this.#links) link.unblock();
  }
}
