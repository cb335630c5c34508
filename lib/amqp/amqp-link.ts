import type { ChannelModel } from 'amqplib';
import { BehaviorSubject, firstValueFrom, fromEvent, race, take, timer, type Observable } from 'rxjs';
import type { ConnectionError } from '../errors';
import type { Receiver } from './wire/receiver';
import type { Gathering } from './cork';
import { Turns } from '../connection/setup-lock';

/** amqplib's default, and RabbitMQ's; the broker may have negotiated it down. */
const FRAME_MAX = 131_072;

/** What goes with a connection over a socket; each may be missing. */
interface LinkInside {
  /** What was asked for, bytes; 0: no limit. */
  readonly frameMax?: number | undefined;
  readonly wire?: boolean;
  readonly receiver?: Receiver | undefined;
  readonly gathering?: Gathering | undefined;
}

/** One open connection, from its handshake to its end. */
export class Link {
  /** The broker's back-pressure reason while it blocks publishing, else undefined. */
  readonly blocked$: Observable<string | undefined>;
  readonly #blocked = new BehaviorSubject<string | undefined>(undefined);
  /** How large a frame may be, bytes; amqplib splits bodies, but never a properties frame. */
  readonly frameMax: number;
  /** May what lies below amqplib's documented surface be used? */
  readonly wire: boolean;
  /** Reads messages faster than amqplib; undefined where it is not wanted, or amqplib not as known. */
  readonly receiver: Receiver | undefined;
  /** Gathers what is written; undefined where the runtime does not tell which socket it is. */
  readonly gathering: Gathering | undefined;
  /** Who is about to attach. */
  readonly turns = new Turns();
  readonly #destroy: () => void;
  #lost: ConnectionError | undefined;
  #closing = false;

  constructor(
    readonly model: ChannelModel,
    /** `host:port/vhost` */
    readonly endpoint: string,
    destroy: () => void,
    { frameMax = 0, wire = false, receiver, gathering }: LinkInside = {},
  ) {
    this.#destroy = destroy;
    this.wire = wire;
    this.receiver = receiver;
    this.gathering = gathering;
    // What was agreed upon lies below amqplib's documented surface; it never exceeds what was asked for.
    const agreed: unknown = wire ? Reflect.get(model.connection, 'frameMax') : undefined;
    const known = typeof agreed === 'number' && agreed > 0 ? agreed : frameMax;
    this.frameMax = known > 0 ? known : FRAME_MAX;
    this.blocked$ = this.#blocked.asObservable();
    model.on('blocked', (reason) => {
      this.#blocked.next(reason);
    });
    model.on('unblocked', () => {
      this.#blocked.next(undefined);
    });
  }

  /** Why it is gone, or undefined while it is up. */
  get lost(): ConnectionError | undefined {
    return this.#lost;
  }

  /** Its end is our own doing, and no loss. */
  get closing(): boolean {
    return this.#closing;
  }

  /** Writes the end on the slate; the first cause stays. */
  lose(cause: ConnectionError): void {
    this.#lost ??= cause;
    this.#blocked.complete();
  }

  /** The closing handshake, for at most `within` ms; then the socket is destroyed. amqplib's own can hang for ever. */
  async close(within: number): Promise<void> {
    if (!this.#lost) {
      this.#closing = true;
      const closed$ = fromEvent(this.model, 'close').pipe(take(1));
      const settled = firstValueFrom(race(closed$, timer(within)));
      // Its rejection says that the connection is closed already, which is what we want.
      this.model.close().catch(() => undefined);
      await settled;
    }
    this.#destroy();
  }
}
