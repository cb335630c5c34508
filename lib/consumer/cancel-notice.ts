import { ChannelError } from '../errors';
import { isRabbitMq, type BrokerIdentity } from '../transport/broker-version';
import type { ConsumeRequest } from '../transport/transport';

/** Asks a classic queue for a cancel in any case; other types refuse it. https://www.rabbitmq.com/docs/3.13/ha#cancellation */
const ARGUMENT = 'x-cancel-on-ha-failover';

/** The largest prefetch: it limits nothing. */
const UNLIMITED = 65_535;

/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const PRECONDITION_FAILED = 406;

/**
 * Makes the broker cancel a consumer whose queue is deleted and declared again at once. RabbitMQ before 4.0 tries first to register such
 * a consumer with a queue of the same name, as behind the failover of a mirrored queue. If there is one by then, it registers it there,
 * and drops all that this queue sends to it from then on. The client gets neither messages nor an error (`rabbit_channel.erl` of 3.8 to 3.13,
 * `handle_consuming_queue_down_or_eol`; seen on 3.10.8). A classic queue takes an argument against it. The new registration fails at a
 * quorum queue if the channel has a prefetch of its own, which these queues do not support; the consumer is cancelled then.
 */
export class CancelNotice {
  /** Is the queue of a type that refuses the argument? */
  #refused: boolean;
  readonly #type: string | undefined;

  /** `type`: of the queue; undefined: unknown, or that of the virtual host. */
  constructor(type: string | undefined) {
    this.#type = type;
    this.#refused = this.#refusing;
  }

  /** The request with what this broker needs; unchanged if it needs nothing, or the user has set the argument. */
  on(broker: BrokerIdentity | undefined, request: ConsumeRequest): ConsumeRequest {
    // The consumers of a stream are always cancelled.
    if (this.#type === 'stream') return request;
    if (broker?.product !== 'RabbitMQ' || isRabbitMq(broker, '4.0') || ARGUMENT in request.arguments) return request;
    if (this.#refused) return { ...request, channelPrefetch: UNLIMITED };
    return { ...request, arguments: { ...request.arguments, [ARGUMENT]: true } };
  }

  /** Was the argument refused? From now on it is left out, until the queue may be another. */
  refusedBy(error: unknown): boolean {
    if (this.#refused || !isRefusal(error)) return false;
    this.#refused = true;
    return true;
  }

  /** The queue is gone. One that is known by its name alone may come back with another type. */
  queueGone(): void {
    this.#refused = this.#refusing;
  }

  get #refusing(): boolean {
    return this.#type !== undefined && this.#type !== 'classic';
  }
}

/** Does the broker refuse the argument? */
export const isRefusal = (error: unknown): boolean =>
  error instanceof ChannelError && error.replyCode === PRECONDITION_FAILED && error.message.includes(ARGUMENT);
