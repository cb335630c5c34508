import { interval, map, filter, type Observable } from 'rxjs';

const PERIOD = 500;

/**
 * Emits for how many ms the event loop stood still, whenever that was half a heartbeat interval or more: while it
 * stands still no heartbeat is sent, and after two intervals the broker drops the connection.
 * https://www.rabbitmq.com/docs/heartbeats
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
