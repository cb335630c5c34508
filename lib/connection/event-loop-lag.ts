import { interval, map, filter, type Observable } from 'rxjs';

const PERIOD = 500;

/**
 * Watches for a blocked event loop. While it is blocked no heartbeat is sent, and after two intervals without one the broker
 * drops the connection. https://www.rabbitmq.com/docs/heartbeats
 *
 * Cold. Emits: how long the event loop was blocked, ms, each time that was half a heartbeat interval or more. Completes: never.
 * Errors: never. Unsubscribe: stops its timer.
 * @param heartbeatSeconds - as negotiated; 0: there are no heartbeats to miss, and nothing is emitted
 */
export function eventLoopLag(heartbeatSeconds: number): Observable<number> {
  let last = performance.now();
  return interval(PERIOD).pipe(
    map(() => {
      const now = performance.now();
      const late = now - last - PERIOD;
      last = now;
      return Math.round(late);
    }),
    filter((late) => heartbeatSeconds > 0 && late >= heartbeatSeconds * 500),
  );
}
