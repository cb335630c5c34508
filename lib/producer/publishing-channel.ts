import type { OutboundChannel, Link } from '../transport/transport';
import type { PendingSend } from './pending-send';
import { Unconfirmed } from './unconfirmed';

/** What a producer knows of one confirm channel, from its opening to its end. */
export class PublishingChannel {
  readonly inFlight = new Unconfirmed<PendingSend>();
  /** Queues known to exist, on this connection. */
  readonly ensured = new Set<string>();
  /** The queue being ensured: later messages wait, to keep the order. */
  ensuring: string | undefined;
  /** Has it confirmed anything? */
  proven = false;
  /** Since when it has had nothing but nacks; monotonic, ms. */
  nackingSince: number | undefined;

  constructor(
    readonly link: Link,
    readonly channel: OutboundChannel,
    readonly epoch: number,
  ) {}
}
