import { NEVER, distinctUntilChanged, filter, map, switchMap, take, takeUntil, timer, type Observable } from 'rxjs';
import type { ConnectionState } from './connection-state';

/** ms of trying in vain after which somebody should know. */
const PATIENCE = 5000;
/** Stable: for `process.on('warning')`, and `node --disable-warning`. */
const CODE = 'INSTANCE_QUEUE_NOT_CONNECTED';

/** A process is warned once: both connections of an InstanceQueue tell the same. */
let warned = false;

/**
 * Warns on standard error when a connection has tried for some seconds and never came up, for callers without a logger:
 * a wrong URL would be silent for ever. Stops with the first connection, and when it is closed.
 */
export function warnWithoutConnection(state$: Observable<ConnectionState>): void {
  let causes: readonly string[] = [];
  const settled$ = state$.pipe(
    filter(({ status }) => status === 'connected' || status === 'closing' || status === 'closed'),
  );
  state$
    .pipe(
      map((state) => {
        if (state.status === 'reconnecting') causes = [state.cause.message];
        return state.status !== 'disconnected';
      }),
      distinctUntilChanged(),
      switchMap((trying) => (trying ? timer(PATIENCE) : NEVER)),
      take(1),
      takeUntil(settled$),
    )
    .subscribe(() => {
      if (warned) return;
      warned = true;
      process.emitWarning([`No connection to RabbitMQ within ${String(PATIENCE / 1000)} s.`, ...causes].join(' '), {
        type: 'InstanceQueueWarning',
        code: CODE,
        detail: "Give a `logger` to see what happens, or `logger: 'silent'` to get no such warning.",
      });
    });
}
