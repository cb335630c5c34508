import { firstValueFrom, race, timer } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseReport } from '../connection/member';
import type { Up } from '../connection/supervisor';
import { ConsumerChannel, type Refusal } from '../consumer/consumer-channel';
import type { Delivery } from '../consumer/delivery';
import { DeliveryLimit } from '../consumer/delivery-limit';
import { undelayed } from '../delay/undelayed';
import { ConsumerError } from '../errors';
import { reasonOf } from '../not-encodable';
import type { InboundChannel, InboundMessage, Link } from '../transport/transport';

/** The channel of one message that was taken without a consumer; it closes once the message is settled. */
export class GetChannel extends ConsumerChannel {
  readonly #unregister: () => void;
  readonly #settled: Promise<void>;
  #settle: () => void = () => undefined;

  constructor(core: ConnectionCore, channel: InboundChannel, queue: string, { link, epoch }: Up<Link>) {
    const { counters, log } = core;
    const limit = new DeliveryLimit(core, queue, undefined, link.quorumDeliveryLimit);
    super({ channel, queue, tag: '', epoch, prefetch: 1, counters, limit, log, lost: () => undefined });
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#unregister = core.register({ direction: 'inbound', close: (within) => this.#close(within) });
    channel.ended$.subscribe((error) => {
      this.end(error);
    });
  }

  /** Hands out the message. @throws ConsumerError UNDECODABLE; the message goes back to its queue */
  hand<T>(arrived: InboundMessage, read: (message: InboundMessage) => T): Delivery<T> {
    const message = undelayed(arrived);
    let body: T;
    try {
      if (message.unreadable) throw message.unreadable;
      body = read(message);
    } catch (cause) {
      this.end();
      const sentence = `Cannot decode a message of queue \`${this.queue}\` (content type ${message.contentType ?? 'none'}, ${String(message.content.length)} bytes).${reasonOf(cause)}`;
      throw new ConsumerError('UNDECODABLE', this.queue, sentence, { cause });
    }
    return this.deliver(message, body);
  }

  override end(...cause: Parameters<ConsumerChannel['end']>): void {
    super.end(...cause);
    this.#unregister();
    this.#settle();
  }

  protected override acked(tag: number): void {
    super.acked(tag);
    this.abandon();
  }

  protected override refused(tag: number, how: Refusal): void {
    super.refused(tag, how);
    this.abandon();
  }

  async #close(within: number): Promise<CloseReport> {
    await firstValueFrom(race(this.#settled, timer(within)));
    const { unsettled } = this;
    await this.close();
    return { unsettled, unconfirmed: 0 };
  }
}
