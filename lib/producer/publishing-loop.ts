import { EMPTY, Observable, asapScheduler, defer, filter, mergeMap, retry, switchMap, timer } from 'rxjs';
import { backoffDelay } from '../connection/backoff';
import type { ConnectionCore } from '../connection/connection-core';
import { CloseAttribution } from '../connection/close-attribution';
import { isEmpty } from '../connection/ensure-queue';
import type { Up } from '../connection/supervisor';
import { ChannelError, type InstanceQueueError } from '../errors';
import type { Topology } from '../topology';
import type { Link, OutboundChannel } from '../transport/transport';
import type { Pump } from './pump';
import type { ProducerWatch } from './producer-state';
import { PublishingChannel } from './publishing-channel';

export interface ConfirmChannelsOptions {
  /** Declared before each channel is used; nothing if absent. */
  readonly topology: Topology | undefined;
  /** The broker refused the topology, in a way that cannot mend itself, before it was ever declared. */
  readonly refused: (cause: InstanceQueueError) => void;
  /** What else each channel needs before anything is sent on it. */
  readonly prepare?: Prepare | undefined;
  readonly watch: ProducerWatch;
}
/** Rejects when the channel cannot be used. */
export type Prepare = (channel: OutboundChannel) => Promise<void>;

/**
 * One confirm channel at a time for the pump: a fresh one per link, and after each failure of its own. Cold. Emits: nothing.
 * Errors: ChannelError when `reopen.attempts` are spent. Completes: when the connection is closed. Unsubscribe: closes the
 * channel.
 */
export function confirmChannels(
  core: ConnectionCore,
  pump: Pump,
  { topology, refused, prepare, watch }: ConfirmChannelsOptions,
): Observable<never> {
  let everOpened = false;
  let growth = 0;
  let failures = 0;
  let latest: PublishingChannel | undefined;
  const attribution = new CloseAttribution();

  const again = (link: Link, error: InstanceQueueError): Observable<unknown> => {
    const wasOpen = latest !== undefined;
    if (latest?.proven) growth = 0;
    latest = undefined;
    // A loss is told by channel, connection and state one after the other: judge it when all have spoken.
    return timer(0, asapScheduler).pipe(
      mergeMap(() => {
        const guilty = attribution.guilty(link, error);
        if (!everOpened && guilty && !error.retryable) refused(error);
        if (link.lost) {
          watch.state?.({ status: 'opening', cause: link.lost });
          return EMPTY;
        }
        failures = wasOpen ? 0 : failures + 1;
        const { attempts, initialAttempts } = core.reopen;
        if (failures >= (everOpened ? attempts : initialAttempts)) throw gaveUp(failures, error);
        growth++;
        // What was open may come back at once; what fails, or closes again before it confirmed anything, waits.
        const delay =
          wasOpen && growth === 1 ? 0 : backoffDelay(core.reopen, growth, { slowly: !wasOpen && !error.retryable });
        core.log.warn({ err: error, retryIn: delay }, 'publishing channel closed');
        watch.state?.({ status: 'opening', cause: error, retryIn: delay });
        return timer(delay);
      }),
    );
  };

  const sessionOn = ({ link, epoch }: Up<Link>): Observable<never> =>
    new Observable((subscriber) => {
      let open: OutboundChannel | undefined;
      let publishing: PublishingChannel | undefined;
      const fail = (error: InstanceQueueError): void => {
        const ended = publishing;
        publishing = undefined;
        if (ended) pump.closed(ended, error);
        subscriber.error(error);
      };
      const declared = topology && !isEmpty(topology) ? link.declare(topology) : Promise.resolve(undefined);
      declared.catch(() => undefined);
      const opening = link.openOutbound().subscribe({
        next: (channel) => {
          open = channel;
          const ready = prepare ? Promise.all([declared, prepare(channel)]) : declared;
          ready.then(() => {
            if (subscriber.closed || channel.ended) return;
            if (everOpened) core.counters.reopens++;
            everOpened = true;
            attribution.cleared();
            // First: what it sends at once may fail at once.
            watch.state?.({ status: 'open', epoch });
            latest = publishing = new PublishingChannel(link, channel, epoch);
            pump.opened(publishing, fail);
          }, fail);
        },
        error: fail,
      });
      return () => {
        opening.unsubscribe();
        if (publishing) pump.closed(publishing, link.lost ?? new ChannelError('The channel was closed.'));
        void open?.close();
      };
    });

  return core.up$.pipe(
    filter((up) => up !== undefined),
    switchMap((up) =>
      defer(() => attribution.turn(up.link)).pipe(
        switchMap(() => sessionOn(up)),
        retry({ delay: (error: InstanceQueueError) => again(up.link, error) }),
      ),
    ),
  );
}

function gaveUp(failures: number, cause: InstanceQueueError): ChannelError {
  const message = `Gave up opening a channel for publishing after ${String(failures)} failed attempts. ${cause.message}`;
  return new ChannelError(message, { cause, replyCode: cause.replyCode });
}
