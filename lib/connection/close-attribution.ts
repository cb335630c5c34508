import { map, type Observable } from 'rxjs';
import type { InstanceQueueError } from '../errors';
import type { Link } from '../transport/transport';
import { SetupLock, type SetupTurn } from './setup-lock';

/** An operator closed it, or the broker went down. https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const CONNECTION_FORCED = 320;

/**
 * Finds out whose setup made the broker close a whole connection (503, 530, 541). The broker does not say. So all setups that
 * were under way are suspects, and try again one at a time: the one that is alone when it happens again is guilty.
 */
export class CloseAttribution {
  #suspect = false;
  #turn: SetupTurn | undefined;

  /** Cold. Emits: once, when this setup may begin. Errors: ConnectionError, when the link is lost by then. */
  turn(link: Pick<Link, 'lost'>): Observable<void> {
    return SetupLock.of(link)
      .take(this.#suspect)
      .pipe(
        map((turn) => {
          if (link.lost) throw link.lost;
          this.#turn = turn;
        }),
      );
  }

  /** Setup succeeded: what ends it later is no refusal of it. */
  cleared(): void {
    this.#suspect = false;
    this.#turn?.end();
    this.#turn = undefined;
  }

  /** Setup failed, or what it set up ended: is this setup the reason? */
  guilty({ lost }: Pick<Link, 'lost'>, error: InstanceQueueError): boolean {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.end();
    // It had not begun.
    if (error === lost) return false;
    if (lost === undefined || isOwnRefusal(error, lost)) return true;
    // A connection that was lost without a reason refused no setup: all that were on it come back side by side.
    if (turn === undefined || lost.replyCode === undefined || lost.replyCode === CONNECTION_FORCED) return false;
    if (turn.alone) return true;
    this.#suspect = true;
    return false;
  }
}

/** Did the broker answer this channel alone, with a code of its own? A channel that ended with its connection has none. */
export const isOwnRefusal = (error: InstanceQueueError, lost: unknown): boolean =>
  error.replyCode !== undefined && error.cause !== lost;
