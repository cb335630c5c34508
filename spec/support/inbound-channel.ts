import { NEVER, type Observable } from 'rxjs';
import type { ChannelError } from 'instance-queue';
import type { InboundChannel, InboundMessage, Settlement } from '../../lib/transport/transport';

/** A message with this delivery tag, whose content is the tag. */
export const inbound = (deliveryTag: number, more: Partial<InboundMessage> = {}): InboundMessage => ({
  content: Buffer.from(String(deliveryTag)),
  deliveryTag,
  redelivered: false,
  exchange: '',
  routingKey: 'orders',
  contentType: undefined,
  contentEncoding: undefined,
  headers: undefined,
  properties: more.headers ? { headers: more.headers } : {},
  unreadable: undefined,
  ...more,
});

/** The channel of a consumer that writes down what it is asked for. */
export class AskedChannel implements Partial<InboundChannel> {
  readonly frames: string[] = [];
  readonly ended$: Observable<ChannelError | undefined> = NEVER;
  ended = false;
  /** Answers settlements with `false`, as one that is closing. */
  closing = false;

  get channel(): InboundChannel {
    return this as Partial<InboundChannel> as InboundChannel;
  }

  settle(tag: number, how: Settlement, multiple = false): boolean {
    this.frames.push(`${how}${multiple ? ' to' : ''} ${String(tag)}`);
    return !this.closing;
  }
  cancel(tag: string): Promise<void> {
    this.frames.push(`cancel ${tag}`);
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.frames.push('close');
    return Promise.resolve();
  }
}
