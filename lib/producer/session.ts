import type { ConfirmChannel } from 'amqplib';
import type { OpenChannel } from '../connection/channel';
import type { Entry } from './entry';
import { InFlight } from './in-flight';

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

  constructor(
    readonly open: OpenChannel<ConfirmChannel>,
    readonly epoch: number,
  ) {}
}
