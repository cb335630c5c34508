import type { Channel, ChannelModel, ConfirmChannel } from 'amqplib';
import { EventEmitter } from 'node:events';
import { MemoryChannel, type ChannelHost, type Reading, type UsedChannel } from './memory-channel';
import type { StoredMessage } from './stored-message';
import type { Published, Vhost } from './vhost';
import type { Wire } from './reply-line';

/** As much of a connection as the library uses. */
type UsedModel = Pick<ChannelModel, 'close' | 'createChannel' | 'createConfirmChannel'>;

/** What a connection needs of its broker. */
export interface Host {
  readonly vhost: Vhost;
  /** Why nobody may publish for now. */
  readonly alarm: string | undefined;
  publish(message: StoredMessage, mandatory: boolean): Published | 'returned';
  joined(): void;
  left(model: MemoryModel): void;
}

/** One connection with both its ends, in amqplib's words. */
export class MemoryModel extends EventEmitter implements UsedModel, ChannelHost {
  readonly #host: Host;
  readonly #channels = new Set<MemoryChannel>();
  /** What the broker does not read while it blocks this connection. */
  readonly #unread: (() => void)[] = [];
  #blocked = false;
  #ended = false;

  constructor(
    host: Host,
    readonly wire: Wire,
  ) {
    super();
    this.#host = host;
  }

  /** To the library it is one of amqplib's, of which it uses no more than there is here. */
  get asAmqplib(): ChannelModel {
    return this as UsedModel as ChannelModel;
  }

  createChannel(): Promise<Channel> {
    return this.#channel(false, (channel: UsedChannel) => channel as Channel);
  }

  createConfirmChannel(): Promise<ConfirmChannel> {
    return this.#channel(true, (channel: UsedChannel) => channel as ConfirmChannel);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      const hear = (): void => {
        this.#end();
        resolve();
      };
      // amqplib does not wait for an answer that a blocked connection would not get.
      if (this.#blocked) hear();
      else this.wire.say(hear);
      this.#leave();
    });
  }

  /** The connection breaks, and what was under way is lost. */
  break(error: Error): void {
    if (this.#ended) return;
    this.#leave();
    this.emit('error', error);
    this.#end(error);
  }

  /** An alarm is over: what the client has said meanwhile is read. */
  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.wire.say(() => this.emit('unblocked'));
    for (const work of this.#unread.splice(0)) this.toBroker(work);
  }

  toBroker(work: () => void, { publishes = false }: Reading = {}): void {
    const { alarm } = this.#host;
    // As with RabbitMQ it takes a message to be blocked, and that one is held up, too.
    if (publishes && alarm !== undefined && !this.#blocked) {
      this.#blocked = true;
      this.wire.say(() => this.emit('blocked', alarm));
    }
    if (this.#blocked) this.#unread.push(work);
    else work();
  }

  publish(message: StoredMessage, mandatory: boolean): Published | 'returned' {
    return this.#host.publish(message, mandatory);
  }

  #channel<C>(confirms: boolean, asAmqplib: (channel: UsedChannel) => C): Promise<C> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(new Error('Connection closed'));
        return;
      }
      const channel = new MemoryChannel(this, this.#host.vhost, confirms);
      this.#channels.add(channel);
      channel.once('close', () => {
        this.#channels.delete(channel);
        reject(new Error('Channel ended, no reply will be forthcoming'));
      });
      this.toBroker(() => {
        this.wire.say(() => {
          resolve(asAmqplib(channel));
        });
      });
    });
  }

  /** The broker's end of it: what is out goes back to the queues. */
  #leave(): void {
    for (const channel of this.#channels) channel.end();
    this.#host.left(this);
  }

  /** The client's end of it. */
  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    for (const channel of [...this.#channels]) channel.closed();
    this.emit('close', error);
  }
}
