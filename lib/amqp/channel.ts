import type { Channel, ConfirmChannel } from 'amqplib';
import { Observable, Subject, firstValueFrom, race, take, timer } from 'rxjs';
import { ChannelError } from '../errors';
import type { Link } from './amqp-link';
import { channelRefused } from './amqp-errors';

/** ms that the closing handshake of a channel may take before nobody waits for it any more. */
const CLOSE_WITHIN = 5000;

/** Writes that may wait for the socket, with `wire`: chunks of many messages. amqplib's own default is 1024 frames. */
const CHUNKS = 16;

/** An open amqplib channel whose end cannot be missed. */
export class OpenChannel<C extends Channel = Channel> {
  readonly #ended$ = new Subject<ChannelError | undefined>();
  #ended = false;
  #closing = false;
  #cause: Error | undefined;

  constructor(
    readonly link: Link,
    readonly channel: C,
  ) {
    // In the tick in which the channel appears: an error that nobody hears kills the whole connection.
    channel.on('error', (error) => {
      this.#cause ??= error;
    });
    channel.on('close', () => {
      this.#ended = true;
      this.#ended$.next(this.#closing ? undefined : this.#reason());
      this.#ended$.complete();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Hot. Emits once when the channel is gone: why, or undefined after our own `close`. Then completes. */
  get ended$(): Observable<ChannelError | undefined> {
    return this.#ended$;
  }

  #reason(): ChannelError {
    if (this.#cause) return channelRefused('The broker closed the channel', this.#cause);
    const { lost } = this.link;
    const what = 'The channel ended with its connection';
    return lost ? channelRefused(what, lost) : new ChannelError(`${what}.`);
  }

  /** Closes it; resolves when it is closed, gone with its connection, or after a while. Never rejects. */
  async close(): Promise<void> {
    if (this.#ended) return;
    const settled = firstValueFrom(race(this.#ended$.pipe(take(1)), timer(CLOSE_WITHIN)), { defaultValue: undefined });
    if (!this.#closing) {
      this.#closing = true;
      // Its promise never settles when the link dies first, and its rejection tells what `ended$` tells too.
      this.channel.close().catch(() => undefined);
    }
    await settled;
  }
}

/**
 * Opens one channel. Cold. Emits: the channel, once. Errors: ChannelError, when it cannot be opened, or when it is closed by
 * anyone but us. Completes: after our own `close`. Unsubscribe: leaves an emitted channel open (its user may have
 * something to finish); one that is still opening is closed as soon as it is open.
 */
export function openChannel(link: Link, kind: 'plain'): Observable<OpenChannel>;
export function openChannel(link: Link, kind: 'confirm'): Observable<OpenChannel<ConfirmChannel>>;
export function openChannel(link: Link, kind: 'plain' | 'confirm'): Observable<OpenChannel> {
  return new Observable((subscriber) => {
    const opening =
      kind === 'confirm'
        ? link.model.createConfirmChannel(link.wire ? { highWaterMark: CHUNKS } : {})
        : link.model.createChannel();
    opening.then(
      (channel) => {
        const open = new OpenChannel(link, channel);
        if (subscriber.closed) {
          void open.close();
          return;
        }
        open.ended$.subscribe((error) => {
          if (error) subscriber.error(error);
          else subscriber.complete();
        });
        subscriber.next(open);
      },
      (error: unknown) => {
        subscriber.error(channelRefused('Cannot open a channel', error));
      },
    );
  });
}

/**
 * Runs `work` on a channel of its own, for whatever can end in the closing of a channel, and closes it behind.
 * Rejects with ChannelError: what the broker said, in front of it `what`.
 */
export async function onScratchChannel<T>(
  link: Link,
  what: string,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const open = await firstValueFrom(openChannel(link, 'plain'));
  try {
    return await work(open.channel);
  } catch (error) {
    // A request in flight when the whole connection was closed is told less than the connection was.
    throw link.lost?.replyCode === undefined ? channelRefused(what, error) : channelRefused(what, link.lost);
  } finally {
    void open.close();
  }
}
