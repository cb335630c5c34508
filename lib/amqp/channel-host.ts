import type { ChannelModel } from 'amqplib';
import type { Observable } from 'rxjs';
import type { ConnectionError } from '../errors';
import type { BrokerIdentity } from '../transport/broker-version';
import type { Cork } from './cork';
import type { Receiver } from './wire/receiver';

/** The connection that a channel is on, as far as the channel is concerned. */
export interface ChannelHost {
  readonly model: ChannelModel;
  /** What the broker says of itself; undefined: nothing. */
  readonly broker: BrokerIdentity | undefined;
  /** May what lies below amqplib's documented surface be used? */
  readonly wire: boolean;
  /** Reads messages faster than amqplib. Undefined where it is not wanted, or where amqplib is not as known. */
  readonly receiver: Receiver | undefined;
  /** Undefined where the runtime does not say which socket it is. */
  readonly cork: Cork | undefined;
  /** As `Link.blocked$`. */
  readonly blocked$: Observable<string | undefined>;
  /** Why the connection is gone; undefined while it is up. */
  readonly lost: ConnectionError | undefined;
}
