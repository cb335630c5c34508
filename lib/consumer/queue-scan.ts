import { randomUUID } from 'node:crypto';
import { firstValueFrom, Observable, race, Subject, type Subscription, timer } from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import type { CloseReport } from '../connection/member';
import type { Up } from '../connection/supervisor';
import { ChannelError, ConsumerError } from '../errors';
import { isRabbitMq } from '../transport/broker-version';
import type { InboundChannel, InboundMessage, Link } from '../transport/transport';
import { AckBatch, AckBatching } from './ack-batching';
import { exhausted$ } from './queue-exhausted';

/** How much of a queue is read, and how fast. */
export interface QueueScanOptions {
  /** Messages at most. */
  readonly limit: number;
  /** Messages that may arrive before the first of them is acked or kept: 1 to 65 535. */
  readonly window: number;
}

/** ms that the broker may take to put everything back. */
const BACK_WITHIN = 10_000;
/** ms between two looks at the queue. */
const LOOK_EVERY = 100;
/** Looks at a queue that seems empty: the counts of a quorum queue lag a little. */
const LOOKS = 5;

const NOT_FOUND = { replyCode: 404, retryable: false };
/** The header of a message that came from a stream. */
const STREAM_OFFSET = 'x-stream-offset';

/**
 * Reads a queue from its head, in order, on a channel of its own. A message that is acked is gone; the others are kept unsettled
 * until `close` gives all of them back. This side keeps no more than their number.
 *
 * A consumer never gets more than `window` messages ahead. To get past messages that are kept, the scan cancels its consumer and
 * registers another: what a cancelled consumer has unsettled does not count against the prefetch of the next.
 */
export class QueueScan {
  /** Messages that were ready when the scan began. */
  readonly found: number;
  /**
   * How often the broker delivers a message of a quorum queue before it drops or dead-letters it, if each delivery of this scan
   * counts: on RabbitMQ 4.0 to 4.2, where even a `nack` does. Undefined: looking costs nothing, or there is no limit by default.
   * https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling
   */
  readonly deliveryLimit: number | undefined;
  readonly #channel: InboundChannel;
  readonly #link: Link;
  readonly #queue: string;
  readonly #limit: number;
  readonly #window: number;
  readonly #unregister: () => void;
  readonly #acks: AckBatching;
  /** Neither acked nor kept, in the order of arrival. */
  readonly #open = new Set<number>();
  /** When a message came or was settled, by the clock of `performance`. */
  #active = 0;
  #received = 0;
  /** Messages beyond the limit that were delivered all the same. */
  #surplus = 0;
  #acked = 0;
  #firstKept = Infinity;
  #lastKept = 0;
  /** The last message that each consumer but the present one has kept. */
  readonly #marks: number[] = [];
  /** The consumer: its tag, its prefetch, and how many of its messages are kept. When the next one takes over, none of them is open. */
  #consumer = { tag: '', prefetch: 0, kept: 0, probe: false };
  readonly #prefix = `instance-queue-scan-${randomUUID()}`;
  #consumers = 0;
  #turning = false;
  #stream = false;
  #finish: (error?: Error) => void = () => undefined;
  #closed: Promise<void> | undefined;
  readonly #ending = new AbortController();
  /** Completes when everything is given back. */
  readonly #over$ = new Subject<never>();

  private constructor(
    core: ConnectionCore,
    channel: InboundChannel,
    queue: string,
    found: number,
    { link }: Up<Link>,
    options: QueueScanOptions,
  ) {
    this.#channel = channel;
    this.#link = link;
    this.#queue = queue;
    this.found = found;
    this.deliveryLimit = isRabbitMq(link.broker, '4.3') ? undefined : link.quorumDeliveryLimit;
    // What comes later is not read: it may be what was just taken out, and has failed again.
    this.#limit = Math.min(options.limit, found);
    this.#window = options.window;
    this.#acks = new AckBatching(new AckBatch(), options.window, () => {
      this.#flush();
    });
    this.#unregister = core.register({ direction: 'inbound', close: (within) => this.#end(within) });
  }

  /** Rejects: ChannelError, with `replyCode` 404 if there is no such queue. */
  static async open(core: ConnectionCore, up: Up<Link>, queue: string, options: QueueScanOptions): Promise<QueueScan> {
    const found = await QueueScan.#countOf(up.link, queue);
    const channel = await firstValueFrom(up.link.openInbound());
    return new QueueScan(core, channel, queue, found, up, options);
  }

  static async #countOf(link: Link, queue: string): Promise<number> {
    for (let looks = 1; ; looks++) {
      const depth = await link.inspect(queue);
      if (!depth) throw new ChannelError(`There is no queue \`${queue}\` at ${link.endpoint}.`, NOT_FOUND);
      if (depth.messages > 0 || looks === LOOKS) return depth.messages;
      await firstValueFrom(timer(LOOK_EVERY));
    }
  }

  /**
   * To be subscribed to once. Each message is to be acked or kept, in the same turn or later. Emits: the messages. Completes: at
   * the limit, after as many as were found, or when the broker has no more for this consumer and none is open. Errors: ChannelError,
   * ConnectionError, ConsumerError CONSUMER_CANCELLED. Unsubscribe: `close` follows.
   */
  readonly message$ = new Observable<InboundMessage>((subscriber) => {
    if (this.#limit === 0) {
      subscriber.complete();
      return undefined;
    }
    const watch: Subscription[] = [];
    this.#active = performance.now();
    const finish = (error?: Error): void => {
      for (const one of watch) one.unsubscribe();
      this.#finish = () => undefined;
      if (error) subscriber.error(error);
      else subscriber.complete();
    };
    this.#finish = finish;
    const ended = this.#channel.ended$.subscribe((error) => {
      finish(error ?? new ChannelError(`Queue \`${this.#queue}\` is not read any more: its channel was closed.`));
    });
    const silence = exhausted$(
      () => (this.#open.size > 0 || this.#turning ? performance.now() : this.#active),
      this.#ready,
    ).subscribe(() => {
      finish();
    });
    watch.push(ended, silence);
    const onMessage = (message: InboundMessage): void => {
      // Acks make room for more than the limit: the surplus goes back with what is kept.
      if (this.#received >= this.#limit || subscriber.closed) {
        this.#surplus++;
        this.#firstKept = Math.min(this.#firstKept, message.deliveryTag);
        return;
      }
      this.#active = performance.now();
      this.#received++;
      this.#open.add(message.deliveryTag);
      if (message.headers && Object.hasOwn(message.headers, STREAM_OFFSET)) this.#stream = true;
      const complete = this.#received === this.#limit;
      subscriber.next(message);
      if (complete) finish();
    };
    this.#register(onMessage).catch(finish);
    return () => {
      finish();
    };
  });

  /** Aborted when the connection is about to close, with the error: what is not under way should not begin. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** How many messages came into the queue since it was opened, at least: those on their way to this consumer do not count. */
  async arrivals(): Promise<number> {
    return (await this.#ready()) + this.#received + this.#surplus - this.found;
  }

  /** The broker may delete this message. */
  ack(deliveryTag: number): void {
    if (!this.#open.delete(deliveryTag)) return;
    this.#active = performance.now();
    this.#acked++;
    this.#acks.ack(deliveryTag);
    if (this.#consumer.probe && this.#full) this.#turn();
  }

  /** This message stays in its queue. */
  keep(deliveryTag: number): void {
    if (!this.#open.delete(deliveryTag)) return;
    this.#active = performance.now();
    this.#firstKept = Math.min(this.#firstKept, deliveryTag);
    this.#lastKept = Math.max(this.#lastKept, deliveryTag);
    this.#consumer.kept++;
    if (this.#full) this.#turn();
  }

  /** Cancels, gives back what is not acked, and closes the channel. Idempotent; never rejects. */
  close(): Promise<void> {
    return (this.#closed ??= this.#giveBack());
  }

  async #giveBack(): Promise<void> {
    this.#finish();
    // First: otherwise the broker delivers to this consumer what it gets back.
    if (this.#consumer.tag !== '') await this.#channel.cancel(this.#consumer.tag);
    this.#flush();
    // With `nack`, which RabbitMQ from 4.3 on does not count as a failure; it would count the end of the channel. A stream keeps
    // its messages anyway, and takes no `nack`.
    if (!this.#stream && (this.#firstKept < Infinity || this.#open.size > 0)) {
      // A window at a time: a classic queue that gets a million at once does nothing else for minutes.
      for (const mark of this.#marks) {
        this.#channel.settle(mark, 'release', true);
        await this.#ready().catch(() => 0);
      }
      this.#channel.settle(0, 'release', true);
    }
    const kept = this.#firstKept < Infinity || this.#open.size > 0;
    this.#open.clear();
    await this.#channel.close();
    if (kept && !this.#stream) await this.#back();
    this.#unregister();
    this.#over$.complete();
  }

  /** Waits until the queue has everything back. Where others take messages that is never seen, and closing does not wait for it. */
  async #back(): Promise<void> {
    const began = performance.now();
    const enough = this.found - this.#acked;
    while (performance.now() - began < BACK_WITHIN && !this.#ending.signal.aborted) {
      const depth = await this.#link.inspect(this.#queue).catch(() => undefined);
      if (!depth || depth.consumers > 0 || depth.messages >= enough) return;
      await firstValueFrom(timer(LOOK_EVERY));
    }
  }

  /** The connection is about to close: nothing more is read, and what is open may still be acked. */
  async #end(within: number): Promise<CloseReport> {
    const error = new ChannelError(`Queue \`${this.#queue}\` is not read any more: its connection is closing.`);
    this.#finish(error);
    this.#ending.abort(error);
    await firstValueFrom(race(this.#over$, timer(within)), { defaultValue: undefined });
    const unsettled = this.#open.size;
    await this.close();
    return { unsettled, unconfirmed: 0 };
  }

  readonly #ready = async (): Promise<number> => (await this.#link.inspect(this.#queue))?.messages ?? 0;
  #onMessage: (message: InboundMessage) => void = () => undefined;

  async #register(onMessage: (message: InboundMessage) => void): Promise<void> {
    this.#onMessage = onMessage;
    // Where each delivery counts, the first one shows whether there may be more.
    const probe = this.deliveryLimit !== undefined && this.#received === 0;
    const prefetch = probe ? 1 : Math.min(this.#window, this.#limit - this.#received, 65_535);
    // The broker gives back what several consumers of a channel have in the order of their tags.
    const tag = `${this.#prefix}-${String(this.#consumers++).padStart(6, '0')}`;
    this.#consumer = { tag, prefetch, kept: 0, probe };
    const cancelled = (): void => {
      const sentence = `The broker cancelled the scan of queue \`${this.#queue}\`.`;
      this.#finish(new ConsumerError('CONSUMER_CANCELLED', this.#queue, sentence));
    };
    const request = { queue: this.#queue, tag, prefetch, noAck: false, exclusive: false, arguments: {} };
    await this.#channel.consume(request, { message: onMessage, cancelled });
  }

  /** Does the consumer keep as many messages as it may have? A probe makes room whatever becomes of its message. */
  get #full(): boolean {
    const { probe, kept, prefetch } = this.#consumer;
    return probe ? this.#received > 0 && this.#open.size === 0 : kept >= prefetch;
  }

  /** Takes the next consumer, because the present one holds as many messages as it may. */
  #turn(): void {
    if (this.#turning || this.#closed || this.#received >= this.#limit) return;
    this.#turning = true;
    // A probe whose message was acked has kept none.
    if (this.#lastKept > 0) this.#marks.push(this.#lastKept);
    this.#channel
      .cancel(this.#consumer.tag)
      .then(async () => {
        if (!this.#closed && this.#received < this.#limit) await this.#register(this.#onMessage);
      })
      .catch((error: unknown) => {
        this.#finish(error instanceof Error ? error : undefined);
      })
      .finally(() => {
        this.#turning = false;
        // They may have arrived together with the broker's answer.
        if (this.#full) this.#turn();
      });
  }

  #flush(): void {
    const [lowest = Infinity] = this.#open;
    const frames = this.#acks.take(Math.min(lowest, this.#firstKept));
    if (!frames) return;
    const { upTo, singly } = frames;
    if (upTo !== undefined) this.#channel.settle(upTo, 'ack', true);
    for (const tag of singly) this.#channel.settle(tag, 'ack');
  }
}
