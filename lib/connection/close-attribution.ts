import { map, type Observable } from 'rxjs';
import type { InstanceQueueError } from '../errors';
import type { Link } from '../transport/transport';
import { SetupLock, type SetupTurn } from './setup-lock';

/** An operator closed it, or the broker went down. https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const CONNECTION_FORCED = 320;

/**
 * Whose fault it is that the broker closed a whole connection over one refusal (530, 541). It does not say whose step it
 * was. So all who were under way are suspect and try again one at a time: who is alone when it happens is guilty.
 */
export class CloseAttribution {
  #suspect = false;
  #turn: SetupTurn | undefined;

  /** Cold. Emits: once, when this one may declare and attach. Errors: ConnectionError, when the link is lost by then. */
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

  /** It went well: whatever comes later is no refusal. */
  cleared(): void {
    this.#suspect = false;
    this.#turn?.end();
    this.#turn = undefined;
  }

  /** It went wrong: was that this one's own doing? */
  guilty({ lost }: Pick<Link, 'lost'>, error: InstanceQueueError): boolean {
    const turn = this.#turn;
    this.#turn = undefined;
    turn?.end();
    // It had not begun.
    if (error === lost) return false;
    // A channel's own refusal is meant for it alone.
    if (lost === undefined || error.cause !== lost) return true;
    // A connection that just went refused nobody: whoever was on it comes back beside all others.
    if (turn === undefined || lost.replyCode === undefined || lost.replyCode === CONNECTION_FORCED) return false;
    if (turn.alone) return true;
    this.#suspect = true;
    return false;
  }
}
