import { Observable, Subject } from 'rxjs';
import type { Dialer } from '../../amqp/dial';
import type { Endpoint } from '../../transport/endpoints';
import { Link } from '../../amqp/amqp-link';
import { connectFailed, connectionLost } from '../../amqp/amqp-errors';
import { ConnectionError } from '../../errors';
import { MemoryModel, type Host } from './memory-connection';
import { Pace } from './scheduler';
import { Wire } from './reply-line';

/** The connections to one broker: how they come about, what all of them suffer, and how they end. */
export class Links implements Dialer {
  readonly back$: Observable<void>;
  readonly #back = new Subject<void>();
  readonly #host: Host;
  readonly #pace = new Pace();
  readonly #models = new Set<MemoryModel>();
  #refusing = false;
  #held = false;

  constructor(host: Host) {
    this.#host = host;
    this.back$ = this.#back.asObservable();
  }

  /** How many there are. */
  get size(): number {
    return this.#models.size;
  }
  /** Is something under way on any of them? */
  get busy(): boolean {
    return this.#pace.busy || [...this.#models].some(({ wire }) => wire.busy);
  }

  /** As over TCP: opens, unless the broker refuses; errors when it breaks; unsubscribing breaks it. */
  dial({ label }: Endpoint): Observable<Link> {
    return new Observable((subscriber) => {
      let link: Link | undefined;
      this.#pace.soon(() => {
        if (subscriber.closed) return;
        if (this.#refusing) {
          subscriber.error(connectFailed(label, systemError('ECONNREFUSED')));
          return;
        }
        const model = this.#open();
        const born = new Link(model.asAmqplib, label, () => {
          this.#abandon(model);
        });
        link = born;
        const gone = (error: unknown): void => {
          if (born.closing) return;
          const lost = connectionLost(label, error);
          born.lose(lost);
          subscriber.error(lost);
        };
        model.on('error', gone);
        model.on('close', gone);
        subscriber.add(() => {
          this.#abandon(model);
        });
        subscriber.next(born);
      });
      return () => {
        link?.lose(new ConnectionError('CONNECTION_CLOSED', label, `The connection to ${label} was closed.`));
      };
    });
  }

  /** All connections break; until `accept` no other comes about. */
  refuse(): void {
    this.#refusing = true;
    // In its own time: whoever commands it may be working on what came over one of them.
    this.#pace.soon(() => {
      for (const model of [...this.#models]) model.break(systemError('ECONNRESET'));
    });
  }

  accept(): void {
    this.#refusing = false;
    this.#pace.soon(() => {
      this.#back.next();
    });
  }

  /** What the broker says is not heard, until `release`. */
  hold(): void {
    this.#held = true;
    for (const { wire } of this.#models) wire.hold();
  }

  release(): void {
    this.#held = false;
    for (const { wire } of this.#models) wire.release();
  }

  /** An alarm is over. */
  unblock(): void {
    for (const model of this.#models) model.unblock();
  }

  left(model: MemoryModel): void {
    this.#models.delete(model);
  }

  #open(): MemoryModel {
    const model = new MemoryModel(this.#host, new Wire(this.#pace, this.#held));
    this.#models.add(model);
    this.#host.joined();
    return model;
  }

  /** Not in the same turn: it may be in the middle of telling something. */
  #abandon(model: MemoryModel): void {
    this.#pace.soon(() => {
      model.break(new Error('The client closed the socket.'));
    });
  }
}

const systemError = (code: string): Error => Object.assign(new Error(code), { code });
