import type { Counters } from '../counters';
import type { Logger } from '../log';
import type { ConnectionState } from './connection-state';

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
