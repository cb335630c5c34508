import { Subject, takeUntil, type Observable } from 'rxjs';
import type { ChannelError } from '../../errors';
import type { InboundMessage, OutboundChannel, Verdict, WireMessage } from '../../transport/transport';
import { MemoryChannel, type ChannelConnection } from './memory-channel';
import { stored } from './stored-message';

/** The tag of the consumer of replies: the only one on its channel. */
const REPLIES = 'replies';

/** A channel with publisher confirms, to a broker in memory. */
export class MemoryOutboundChannel extends MemoryChannel implements OutboundChannel {
  readonly drain$: Observable<void>;
  readonly verdicts$: Observable<Verdict>;
  readonly #verdicts$ = new Subject<Verdict>();
  readonly #listener: { onReply?: (message: InboundMessage) => void };
  /** The last verdict, while it is on its way and may still grow. */
  #gathering: { readonly kind: 'ack' | 'nack'; number: number; multiple: boolean } | undefined;
  #published = 0;

  constructor(connection: ChannelConnection) {
    const listener: { onReply?: (message: InboundMessage) => void } = {};
    super(connection, { deliver: (_, message) => listener.onReply?.(message), cancelled: () => undefined });
    this.#listener = listener;
    this.drain$ = connection.requests.drain$.pipe(takeUntil(this.ended$));
    this.verdicts$ = this.#verdicts$.asObservable();
  }

  get writable(): boolean {
    return this.connection.requests.writable;
  }

  publish(message: WireMessage, expiration: number | undefined): boolean {
    const { exchange, routingKey, mandatory, messageId, contentType, content, properties, persistent } = message;
    const named = { ...properties, messageId, contentType, expiration };
    const given = stored(exchange, routingKey, content, named, persistent);
    return this.tell(() => {
      const number = ++this.#published;
      const outcome = this.connection.publish(this.broker.addressed(given), mandatory);
      if (outcome === 'returned') {
        // Its confirm must not come first.
        this.#gathering = undefined;
        this.#say({ kind: 'return', messageId, exchange, routingKey, replyCode: 312, replyText: 'NO_ROUTE' });
      }
      this.#confirm(outcome === 'full' ? 'nack' : 'ack', number);
    }, true);
  }

  consumeReplies(onReply: (message: InboundMessage) => void): Promise<void> {
    return this.request(
      'Cannot consume replies',
      () => {
        this.broker.consumeReplies(REPLIES);
      },
      { arrived: () => (this.#listener.onReply = onReply) },
    );
  }

  override end(cause: ChannelError | undefined): void {
    super.end(cause);
    this.#verdicts$.complete();
  }

  /** In one frame with those in front of it, if that has not arrived. https://www.rabbitmq.com/docs/confirms#publisher-confirms */
  #confirm(kind: 'ack' | 'nack', number: number): void {
    if (this.#gathering?.kind === kind) {
      this.#gathering.number = number;
      this.#gathering.multiple = true;
      return;
    }
    const verdict = { kind, number, multiple: false };
    if (this.connection.requests.gathersConfirms) this.#gathering = verdict;
    this.arrive(() => {
      if (this.#gathering === verdict) this.#gathering = undefined;
      this.#verdicts$.next(verdict);
    });
  }

  #say(verdict: Verdict): void {
    this.arrive(() => {
      this.#verdicts$.next(verdict);
    });
  }
}
