import type { ConfirmChannel } from 'amqplib';
import type { OpenChannel } from '../amqp/channel';
import { Publisher } from '../amqp/wire/publisher';
import type { Entry } from './pending-send';
import { InFlight } from './unconfirmed';

/** One confirm channel, from its opening to its end. */
export class Session {
  readonly inFlight = new InFlight<Entry>();
  /** Queues known to exist, on this connection. */
  readonly ensured = new Set<string>();
  /** The queue being ensured: what comes behind waits, to keep the order. */
  ensuring: string | undefined;
  /** `false` from a full socket to its drain. */
  writable = true;
  /** Has it confirmed anything? */
  proven = false;
  /** Since when it has had nothing but nacks; monotonic, ms. */
  nackingSince: number | undefined;

  /** Writes faster than amqplib; undefined where it is not wanted, or amqplib not as known. */
  readonly publisher: Publisher | undefined;

  constructor(
    readonly open: OpenChannel<ConfirmChannel>,
    readonly epoch: number,
  ) {
    // In front of amqplib's own listeners: they make room for every number up to the one confirmed, and one that nobody
    // sent would stop the process for minutes. Thrown out of amqplib's read loop, it is the connection's end.
    const check = ({ deliveryTag }: { readonly deliveryTag: number }): void => {
      const { written } = this.inFlight;
      if (deliveryTag > written) throw tooHigh(deliveryTag, written);
      this.publisher?.confirmed(deliveryTag);
    };
    open.channel.prependListener('ack', check);
    open.channel.prependListener('nack', check);
    const full = (): void => {
      this.writable = false;
    };
    this.publisher = open.link.wire ? Publisher.on(open.channel, full) : undefined;
  }
}

const tooHigh = (confirmed: number, sent: number): Error =>
  new Error(`the broker confirmed message ${String(confirmed)} of a channel that sent ${String(sent)}.`);
