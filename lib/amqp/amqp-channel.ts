import type { Channel } from 'amqplib';
import { Observable, Subject, firstValueFrom, race, take, timer } from 'rxjs';
import { ChannelError } from '../errors';
import type { LinkChannel } from '../transport/transport';
import { channelRefused } from './amqp-errors';
import type { ChannelHost } from './channel-host';

/** ms that the closing handshake of a channel may take; then `close` stops waiting for it. */
const CLOSE_WITHIN = 5000;

/** An open amqplib channel whose end cannot be missed. */
export class AmqpChannel<C extends Channel = Channel> implements LinkChannel {
  readonly #ended$ = new Subject<ChannelError | undefined>();
  #ended = false;
  #closing = false;
  #cause: Error | undefined;

  constructor(
    readonly host: ChannelHost,
    readonly channel: C,
  ) {
    // In the tick in which the channel appears: an 'error' without a listener costs the whole connection.
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

  get ended$(): Observable<ChannelError | undefined> {
    return this.#ended$;
  }

  #reason(): ChannelError {
    if (this.#cause) return channelRefused('The broker closed the channel', this.#cause);
    const { lost } = this.host;
    const what = 'The channel ended with its connection';
    return lost ? channelRefused(what, lost) : new ChannelError(`${what}.`);
  }

  async close(): Promise<void> {
    if (this.#ended) return;
    const settled = firstValueFrom(race(this.#ended$.pipe(take(1)), timer(CLOSE_WITHIN)), { defaultValue: undefined });
    if (!this.#closing) {
      this.#closing = true;
      // Its promise never settles when the link is lost first, and its rejection says what `ended$` says too.
      this.channel.close().catch(() => undefined);
    }
    await settled;
  }

  /** The broker's reason for a refused request: where it closed the whole connection, the connection knows more. */
  protected refused(what: string, error: unknown): ChannelError {
    return channelRefused(what, this.host.lost?.replyCode === undefined ? error : this.host.lost);
  }
}

/** Opens a channel as `Link.openInbound` promises; `open` asks amqplib for it. */
export function openingChannel<O extends AmqpChannel>(open: () => Promise<O>): Observable<O> {
  return new Observable((subscriber) => {
    open().then(
      (channel) => {
        if (subscriber.closed) {
          void channel.close();
          return;
        }
        channel.ended$.subscribe((error) => {
          if (error) subscriber.error(error);
          else subscriber.complete();
        });
        subscriber.next(channel);
      },
      (error: unknown) => {
        subscriber.error(channelRefused('Cannot open a channel', error));
      },
    );
  });
}

/**
 * Runs `work` on a channel of its own and closes it: for requests that the broker may answer by closing the channel.
 * Rejects: ChannelError, `what` followed by the broker's words.
 */
export async function onScratchChannel<T>(
  host: ChannelHost,
  what: string,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const open = await firstValueFrom(
    openingChannel(async () => new AmqpChannel(host, await host.model.createChannel())),
  );
  try {
    return await work(open.channel);
  } catch (error) {
    // Where the broker closed the whole connection, the connection knows why; the pending request does not.
    throw channelRefused(what, host.lost?.replyCode === undefined ? error : host.lost);
  } finally {
    void open.close();
  }
}
