import type { InstanceQueue, Role } from 'instance-queue';
import { fromEvent, merge, take, type Observable } from 'rxjs';

/** One line with the time of day in front. */
export function say(line: string): void {
  console.log(`${new Date().toISOString().slice(11, 23)}  ${line}`);
}

/** Prints each change of a connection, in one line. */
export function sayStates(queue: InstanceQueue): void {
  queue.on('connecting', ({ attempt }, role) => {
    say(`${role}: connecting${attempt > 1 ? `, attempt ${String(attempt)}` : ''}`);
  });
  queue.on('connected', ({ epoch, endpoint }, role) => {
    say(`${role}: connected to ${endpoint}, epoch ${String(epoch)}`);
  });
  const last: Partial<Record<Role, string>> = {};
  queue.on('reconnecting', ({ attempt, delay, cause }, role) => {
    // The same cause is printed once, then at every tenth attempt.
    if (last[role] === cause.message && attempt % 10 !== 0) return;
    last[role] = cause.message;
    say(`${role}: next attempt (${String(attempt)}) in ${String(delay)} ms. ${cause.message}`);
  });
  queue.on('blocked', (reason, role) => {
    say(`${role}: blocked by the broker, ${reason}`);
  });
  queue.on('unblocked', (role) => {
    say(`${role}: unblocked`);
  });
  queue.on('closed', ({ cause }, role) => {
    say(`${role}: closed${cause ? `. ${cause.message}` : ''}`);
  });
}

/** Emits at the first Ctrl-C or SIGTERM. A second one ends the process at once. */
export function shutdown(): Observable<unknown> {
  return merge(fromEvent(process, 'SIGINT'), fromEvent(process, 'SIGTERM')).pipe(take(1));
}
