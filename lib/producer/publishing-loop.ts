import {
  Observable,
  Subject,
  defer,
  filter,
  finalize,
  firstValueFrom,
  merge,
  of,
  race,
  switchMap,
  take,
  timer,
} from 'rxjs';
import type { ConnectionCore } from '../connection/connection-core';
import { ensureDeadLetterQueues, isEmpty } from '../connection/declare';
import { Reopening } from '../connection/reopening';
import type { Up } from '../connection/supervisor';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Topology } from '../topology';
import type { Link, OutboundChannel } from '../transport/transport';
import type { ProducerState } from './producer-state';
import { PublishingChannel } from './publishing-channel';
import type { Pump } from './pump';

export interface PublishingLoopOptions {
  /** Declared before each channel is used; nothing if absent. */
  readonly topology: Topology | undefined;
  /** Called when the broker refuses the topology for good, before it was ever declared. */
  readonly refused: (cause: InstanceQueueError) => void;
  /** Prepares each channel before anything is sent on it. */
  readonly prepare?: Prepare | undefined;
}
/** Rejects if the channel cannot be used. */
export type Prepare = (channel: OutboundChannel) => Promise<void>;

/** ms that the broker has to answer the close of a channel; then the next one opens all the same. */
const CLOSED_WITHIN = 30_000;

/**
 * One confirm channel at a time for the pump: a fresh one per link, and after each failure of its own.
 *
 * Cold. Emits: `opening` with the cause of each failure, and `open` for each channel, before anything is sent on it. Errors: ChannelError when `reopen.attempts` are spent. Completes: when the connection is closed. Unsubscribe: closes the
 * channel.
 */
export function publishingLoop(
  core: ConnectionCore,
  pump: Pump,
  { topology, refused, prepare }: PublishingLoopOptions,
): Observable<ProducerState> {
  const failures = new Subject<ProducerState>();
  const declare = async (link: Link, channel: OutboundChannel): Promise<void> => {
    if (!topology || isEmpty(topology)) return;
    await ensureDeadLetterQueues(core, link, topology);
    await channel.declare(topology);
  };
  const reopening = new Reopening(core, {
    what: 'opening a channel for publishing',
    // A producer continues after a refusal: it rejects what waits, and tries again with the next message.
    isFatal: (error) => {
      if (!error.retryable) refused(error);
      return false;
    },
    waiting: (cause, retryIn) => {
      if (retryIn !== undefined) core.log.warn({ err: cause, retryIn }, 'publishing channel closed');
      failures.next({ status: 'opening', cause, ...(retryIn !== undefined && { retryIn }) });
    },
    rehearse: async (link) => {
      const channel = await firstValueFrom(link.openOutbound());
      await declare(link, channel);
      await channel.close();
    },
  });

  /** The last channel that was closed from this side. */
  let closing: { readonly link: Link; readonly channel: OutboundChannel } | undefined;
  /** Emits when the broker has read what was written to it: over a full socket that could arrive behind what is sent again. */
  const closed = (link: Link): Observable<unknown> =>
    closing?.link === link && !closing.channel.ended
      ? race(closing.channel.ended$, timer(CLOSED_WITHIN)).pipe(take(1))
      : of(undefined);

  const publishingOn = ({ link, epoch }: Up<Link>): Observable<ProducerState> =>
    new Observable((subscriber) => {
      let open: OutboundChannel | undefined;
      let publishing: PublishingChannel | undefined;
      const fail = (error: InstanceQueueError): void => {
        const ended = publishing;
        publishing = undefined;
        if (ended?.proven === true) reopening.proved();
        if (ended) pump.closed(ended, error);
        subscriber.error(error);
      };
      const opening = link.openOutbound().subscribe({
        next: (channel) => {
          open = channel;
          Promise.all([declare(link, channel), prepare?.(channel)]).then(() => {
            if (subscriber.closed || channel.ended) return;
            if (reopening.everOpened) core.counters.reopens++;
            reopening.opened();
            // First, because what it sends synchronously may fail synchronously.
            subscriber.next({ status: 'open', epoch });
            publishing = new PublishingChannel(link, channel, epoch);
            pump.opened(publishing, fail);
          }, fail);
        },
        error: fail,
      });
      return () => {
        opening.unsubscribe();
        if (publishing) pump.closed(publishing, link.lost ?? new ChannelError('The channel was closed.'));
        if (open && !open.ended) closing = { link, channel: open };
        void open?.close();
      };
    });

  const published$ = core.up$.pipe(
    filter((up) => up !== undefined),
    switchMap((up) =>
      reopening.on(up.link, () => defer(() => closed(up.link)).pipe(switchMap(() => publishingOn(up)))),
    ),
    finalize(() => {
      reopening.stop();
      failures.complete();
    }),
  );
  return merge(failures, published$);
}
