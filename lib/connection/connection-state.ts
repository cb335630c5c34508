import type { Counters } from '../counters';
import type { ConnectionError, InstanceQueueError } from '../errors';
import type { Logger } from '../log';

/** The credentials of a connection that is up could not be renewed so far. */
export interface Expiring {
  /** When they expire. The connection works until then; after that it is dialled again. */
  readonly expiresAt: Date;
  /** Which attempt to renew them comes next, counted from 1. */
  readonly attempt: number;
  /** ms until that attempt. */
  readonly delay: number;
  readonly cause: ConnectionError;
}

/** The state of a connection. Frozen plain data; `epoch` grows by one with each established connection. */
export type ConnectionState =
  | { readonly status: 'disconnected' }
  | { readonly status: 'connecting'; readonly attempt: number }
  | {
      readonly status: 'connected';
      readonly epoch: number;
      readonly endpoint: string;
      /** Present while its credentials could not be renewed. A state of the same epoch without it: they were. */
      readonly expiring?: Expiring;
    }
  | {
      readonly status: 'reconnecting';
      /** The next attempt, counted from 1 in each outage. */
      readonly attempt: number;
      /** ms until that attempt. */
      readonly delay: number;
      readonly cause: ConnectionError;
    }
  | { readonly status: 'closing' }
  | { readonly status: 'closed'; readonly cause?: InstanceQueueError };

type Up = Extract<ConnectionState, { readonly status: 'connected' }>;

/** Logs what becomes of one connection, and counts its reconnects. A long outage is one line per cause, not one per attempt. */
export class StateLog {
  readonly #log: Logger;
  readonly #counters: Counters;
  #lastCause: string | undefined;
  #lostAt = 0;

  constructor(log: Logger, counters: Counters) {
    this.#log = log;
    this.#counters = counters;
  }

  /** Called with each state, and the one before it. */
  write(before: ConnectionState | undefined, state: ConnectionState): void {
    const log = this.#log;
    switch (state.status) {
      case 'connecting':
        log[state.attempt === 1 ? 'info' : 'debug']({ attempt: state.attempt }, 'connecting');
        break;
      case 'connected':
        if (before?.status === 'connected' && before.epoch === state.epoch) this.#renewal(state);
        else this.#connected(state);
        break;
      case 'reconnecting': {
        const facts = { attempt: state.attempt, delay: state.delay, err: state.cause };
        const again = this.#isRepeated(state.cause);
        if (before?.status === 'connected') {
          this.#lostAt = performance.now();
          log.warn(facts, 'connection lost');
        } else log[again ? 'debug' : 'warn'](facts, 'cannot connect');
        break;
      }
      case 'closing':
        log.info('closing');
        break;
      case 'closed':
        if (state.cause) log.error({ err: state.cause }, 'connection given up');
        else log.info('closed');
        break;
      case 'disconnected':
        break;
    }
  }

  #connected({ epoch, endpoint }: Up): void {
    this.#lastCause = undefined;
    if (epoch > 1) this.#counters.reconnects++;
    // ms without a connection; there is none before the first one.
    const outage = epoch > 1 ? { outage: Math.round(performance.now() - this.#lostAt) } : {};
    this.#log.info({ epoch, endpoint, ...outage }, 'connected');
  }

  #renewal({ epoch, expiring }: Up): void {
    if (expiring) {
      const { cause: err, ...facts } = expiring;
      this.#log[this.#isRepeated(err) ? 'debug' : 'warn']({ epoch, ...facts, err }, 'cannot renew the credentials');
    } else {
      this.#lastCause = undefined;
      this.#log.info({ epoch }, 'credentials renewed after all');
    }
  }

  #isRepeated({ message }: Error): boolean {
    const repeated = this.#lastCause === message;
    this.#lastCause = message;
    return repeated;
  }
}
