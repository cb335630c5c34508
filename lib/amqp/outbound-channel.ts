import type { ConfirmChannel, Message as AmqpMessage } from 'amqplib';
import { Subject, type Observable } from 'rxjs';
import { isError } from '../errors';
import type { InboundMessage, OutboundChannel, Verdict, WireMessage } from '../transport/transport';
import { AmqpChannel, type ChannelHost } from './amqp-channel';
import { publishOptions } from './amqp-properties';
import { AmqplibMessage } from './amqplib-message';
import { Publisher } from './wire/publisher';

/** https://www.rabbitmq.com/docs/direct-reply-to */
const REPLY_TO = 'amq.rabbitmq.reply-to';

interface Confirm {
  readonly deliveryTag: number;
  readonly multiple: boolean;
}

/** A confirm channel on amqplib. Publishes in frames of our own where it can, else through amqplib. */
export class AmqpOutboundChannel extends AmqpChannel<ConfirmChannel> implements OutboundChannel {
  readonly #drain$ = new Subject<void>();
  readonly #verdicts$ = new Subject<Verdict>();
  /** Undefined where it is not wanted, or where amqplib is not as known. */
  readonly #publisher: Publisher | undefined;
  #writable = true;
  /** How many messages were written: the highest number that a confirm can name. */
  #written = 0;

  constructor(host: ChannelHost, channel: ConfirmChannel) {
    super(host, channel);
    // In front of amqplib's own listeners, which make room for every number up to the one confirmed: one that was never
    // sent would stop the process for minutes. Thrown out of amqplib's read loop, it ends the connection.
    const check = ({ deliveryTag }: Confirm): void => {
      if (deliveryTag > this.#written) throw confirmTooHigh(deliveryTag, this.#written);
      this.#publisher?.confirmed(deliveryTag);
    };
    channel.prependListener('ack', check);
    channel.prependListener('nack', check);
    channel.on('ack', ({ deliveryTag, multiple }: Confirm) => {
      this.#verdicts$.next({ kind: 'ack', number: deliveryTag, multiple });
    });
    channel.on('nack', ({ deliveryTag, multiple }: Confirm) => {
      this.#verdicts$.next({ kind: 'nack', number: deliveryTag, multiple });
    });
    channel.on('return', (message: AmqpMessage) => {
      this.#verdicts$.next(returned(message));
    });
    channel.on('drain', () => {
      this.#writable = true;
      this.#drain$.next();
    });
    channel.on('close', () => {
      this.#drain$.complete();
      this.#verdicts$.complete();
    });
    const full = (): void => {
      this.#writable = false;
    };
    this.#publisher = host.wire ? Publisher.on(channel, full) : undefined;
    host.receiver?.registerConfirms(channel);
  }

  get writable(): boolean {
    return this.#writable;
  }
  get drain$(): Observable<void> {
    return this.#drain$;
  }
  get verdicts$(): Observable<Verdict> {
    return this.#verdicts$;
  }

  publish(message: WireMessage, expiration: number | undefined): boolean {
    const left = expiration === undefined ? undefined : String(expiration);
    // What our own frames cannot say is amqplib's to write, or to refuse: it alone knows whether the channel is closing.
    const written = this.#writeFrames(message, left) || this.#publish(message, left);
    if (written) this.#written++;
    return written;
  }

  async consumeReplies(onReply: (message: InboundMessage) => void): Promise<void> {
    const take = (message: AmqpMessage | null): void => {
      // The broker cancels consumers of queues that go. This is no queue: it goes with its channel.
      if (message) onReply(new AmqplibMessage({ ...message, fields: { consumerTag: '', ...message.fields } }));
    };
    await this.ask('Cannot consume replies', (channel) => channel.consume(REPLY_TO, take, { noAck: true }));
  }

  #writeFrames(message: WireMessage, expiration: string | undefined): boolean {
    const publisher = this.#publisher;
    if (!publisher) return false;
    try {
      return publisher.publish(message, this.#written + 1, expiration);
    } catch {
      // An exotic header, or one that amqplib will refuse with reasons. What was written so far goes first.
      publisher.flush();
      return false;
    }
  }

  #publish(message: WireMessage, expiration: string | undefined): boolean {
    const { exchange, routingKey, content } = message;
    try {
      this.#writable = this.channel.publish(exchange, routingKey, content, publishOptions(message, expiration));
    } catch (error) {
      // The channel is closing and has not said so yet.
      if (isError(error) && error.name === 'IllegalOperationError') return false;
      throw error;
    }
    this.host.cork?.published(content.length);
    return true;
  }
}

function returned({ fields, properties }: AmqpMessage): Verdict {
  const messageId: unknown = properties.messageId;
  return {
    kind: 'return',
    messageId: typeof messageId === 'string' ? messageId : undefined,
    exchange: fields.exchange,
    routingKey: fields.routingKey,
    // amqplib types the fields of a return as those of a delivery.
    replyCode: Number(Reflect.get(fields, 'replyCode')),
    replyText: String(Reflect.get(fields, 'replyText')),
  };
}

const confirmTooHigh = (confirmed: number, sent: number): Error =>
  new Error(`The broker confirmed message ${String(confirmed)} of a channel that sent ${String(sent)}.`);
