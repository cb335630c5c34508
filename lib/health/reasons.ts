import type { Expiring } from '../connection/connection-state';
import type { ErrorCode, InstanceQueueError } from '../errors';
import { isUnused, type ConsumerHealth, type Health } from './health';
import type { Stall } from './stall';

/** The cause, in the words of its error: sentence and codes, never credentials. */
interface Because {
  readonly message?: string;
  readonly code?: ErrorCode;
  readonly replyCode?: number;
}

/** A connection in use that is not up, that the broker blocks, or whose credentials are about to expire. */
export interface ConnectionReason extends Because {
  readonly of: 'connection';
  readonly role: 'producer' | 'consumer';
  /** `expiring`: it works; its credentials could not be renewed so far. */
  readonly status: 'connecting' | 'reconnecting' | 'closing' | 'closed' | 'blocked' | 'expiring';
}
/** A consumer that is not attached, and not paused on purpose; or one that is `stalled`, which is a hint and makes nothing unready. */
export interface ConsumerReason extends Because {
  readonly of: 'consumer';
  readonly queue: string;
  readonly status: 'detached' | 'stopped' | 'stalled';
  /** ms until it tries again. */
  readonly retryIn?: number;
}
/** A producer in use that cannot confirm. */
export interface ProducerReason extends Because {
  readonly of: 'producer';
  readonly status: 'opening' | 'stopped';
  /** ms until it tries again. */
  readonly retryIn?: number;
}
/** Nothing was asked of the queue yet. `connect()` at boot opens both connections. */
export interface NothingReason {
  readonly of: 'nothing';
  readonly message: string;
}
/** One thing that is not as it should be. */
export type Reason = ConnectionReason | ConsumerReason | ProducerReason | NothingReason;

/** Everything that keeps the status from being `up`, and the consumers that are stalled. */
export function reasonsOf(health: Health): readonly Reason[] {
  return [...(health.status === 'up' ? [] : troubles(health)), ...stalls(health)];
}

function troubles(health: Health): readonly Reason[] {
  if (isUnused(health)) {
    return [{ of: 'nothing', message: 'Nothing was asked of this queue yet. connect() opens both connections.' }];
  }
  const { connections, consumers, producers, blocked } = health;
  const reasons: Reason[] = [];
  for (const role of ['producer', 'consumer'] as const) {
    const state = connections[role];
    if (state.status === 'disconnected') continue;
    if (state.status === 'connected') {
      if (state.expiring) reasons.push({ of: 'connection', role, status: 'expiring', ...expiry(state.expiring) });
      continue;
    }
    reasons.push({ of: 'connection', role, status: state.status, ...because(state) });
  }
  if (blocked !== undefined) reasons.push({ of: 'connection', role: 'producer', status: 'blocked', message: blocked });
  for (const state of consumers) {
    if (state.status !== 'detached' && state.status !== 'stopped') continue;
    reasons.push({ of: 'consumer', queue: state.queueName, status: state.status, ...because(state), ...wait(state) });
  }
  for (const state of producers) {
    if (state.status === 'open' || state.status === 'idle') continue;
    reasons.push({ of: 'producer', status: state.status, ...because(state), ...wait(state) });
  }
  return reasons;
}

function expiry({ cause, expiresAt }: Expiring): Because {
  const { code, message } = cause;
  return { code, message: `The credentials expire at ${expiresAt.toISOString()} and could not be renewed. ${message}` };
}

const stalls = ({ consumers }: Health): readonly ConsumerReason[] =>
  consumers.flatMap(({ queueName, stalled }: ConsumerHealth) =>
    stalled ? [{ of: 'consumer', queue: queueName, status: 'stalled', message: sentence(stalled) }] : [],
  );

function sentence({ unsettled, prefetch, since }: Stall): string {
  const seconds = Math.max(0, Math.round((Date.now() - since.getTime()) / 1000));
  return (
    `${String(unsettled)} deliveries are unsettled (prefetch: ${String(prefetch)}), and none was settled for ${String(seconds)} s: ` +
    'the broker sends no more until one is. Is the work this long, or does it miss a settlement?'
  );
}

/** A state with a cause, or with a time to wait. */
interface Troubled {
  readonly status: string;
  readonly cause?: InstanceQueueError;
  readonly retryIn?: number;
}

function because({ cause }: Troubled): Because {
  if (!cause) return {};
  const { message, code, replyCode } = cause;
  return { message, code, ...(replyCode !== undefined && { replyCode }) };
}

const wait = ({ retryIn }: Troubled): Pick<Troubled, 'retryIn'> =>
  retryIn === undefined ? {} : { retryIn: Math.round(retryIn) };
