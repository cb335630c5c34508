/** What the specs of the supervisor share: a link that is nothing, dials in a row, and states as short values. */
import { Subject, type ObservableInput } from 'rxjs';
import type { RunHelpers } from 'rxjs/testing';
import type { Backoff } from '../../../lib/connection/backoff';
import { Supervisor, type Reached, type SupervisorOptions } from '../../../lib/connection/supervisor';
import type { ConnectionState } from '../../../lib/connection/connection-state';
import { ConnectionError } from '../../../lib/errors';

export const link: Reached = { endpoint: 'here:5672/' };
export const lost = new ConnectionError('CONNECTION_LOST', link.endpoint, 'Lost.');
export const failed = new ConnectionError('CONNECT_FAILED', link.endpoint, 'Nobody there.');
export const forbidden = new ConnectionError('CONNECT_FAILED', link.endpoint, 'Refused.', { replyCode: 403 });

const BACKOFF: Backoff = {
  min: 10,
  max: 1000,
  factor: 2,
  jitter: 0,
  attempts: Infinity,
  initialAttempts: Infinity,
  stableAfter: 10_000,
};

/**
 * Each dial in turn, the last one again and again; `count` tells how many there were. Stopped after a second of virtual
 * time, which else would never end.
 */
export function supervise(
  { cold }: Pick<RunHelpers, 'cold'>,
  dials: readonly ObservableInput<Reached>[],
  backoff: Partial<Backoff> = {},
  options: Partial<SupervisorOptions> = {},
): { readonly supervisor: Supervisor<Reached>; readonly count: () => number } {
  let count = 0;
  const dial = (): ObservableInput<Reached> => dials[Math.min(count++, dials.length - 1)] ?? new Subject<Reached>();
  const supervisor = new Supervisor(dial, { backoff: { ...BACKOFF, ...backoff }, ...options });
  cold('999ms x').subscribe(() => supervisor.stop());
  return { supervisor, count: () => count };
}

/** Does something at the times a marble diagram shows. */
export const at = ({ cold }: Pick<RunHelpers, 'cold'>, when: string, action: () => void): void => {
  cold(when).subscribe(action);
};

export const disconnected: ConnectionState = { status: 'disconnected' };
export const closing: ConnectionState = { status: 'closing' };
export const closed = (cause?: ConnectionError): ConnectionState =>
  cause ? { status: 'closed', cause } : { status: 'closed' };
export const connecting = (attempt: number): ConnectionState => ({ status: 'connecting', attempt });
export const connected = (epoch: number): ConnectionState => ({ status: 'connected', epoch, endpoint: link.endpoint });
export const reconnecting = (attempt: number, delay: number, cause: ConnectionError): ConnectionState => ({
  status: 'reconnecting',
  attempt,
  delay,
  cause,
});
