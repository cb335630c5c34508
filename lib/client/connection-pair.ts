import { combineLatest, type Observable } from 'rxjs';
import { Connection, type ConnectionEvents } from '../connection/connection';
import { drainTimeoutOf, type ConnectionOptions } from '../connection/connection-options';
import type { CloseOptions, CloseReport } from '../connection/member';
import type { Transport } from '../transport/transport';
import { StateSubject } from '../reactive/state-subject';
import type { TypedEmitter } from '../reactive/typed-emitter';
import type { InstanceQueueState } from '../health/health';

/** The name of one of the two connections. */
export type Role = 'producer' | 'consumer';
/** The events of both connections, each with the role of its connection. */
export type InstanceQueueEvents = { [K in keyof ConnectionEvents]: [...ConnectionEvents[K], role: Role] };

/** The producing and the consuming connection: their states as one, their events with a role, and the order in which they close. */
export class ConnectionPair {
  readonly producer: Connection;
  readonly consumer: Connection;
  readonly #state: StateSubject<InstanceQueueState>;
  #closed: Promise<CloseReport> | undefined;
  /** When closing has to be done; monotonic, ms. */
  #deadline = Infinity;

  constructor(options: ConnectionOptions, transport: Transport | undefined, events: TypedEmitter<InstanceQueueEvents>) {
    const open = (role: Role): Connection =>
      new Connection({ ...options, name: `${options.name ?? 'instance-queue'}.${role}` }, transport);
    this.producer = open('producer');
    this.consumer = open('consumer');
    relay(this.producer, 'producer', this.consumer, events);
    relay(this.consumer, 'consumer', this.producer, events);
    const { producer, consumer } = this;
    this.#state = new StateSubject(Object.freeze({ producer: producer.state, consumer: consumer.state }));
    combineLatest({ producer: producer.state$, consumer: consumer.state$ }).subscribe({
      next: (state) => {
        this.#state.next(Object.freeze(state));
      },
      complete: () => {
        this.#state.end(this.#state.value);
      },
    });
  }

  get state$(): Observable<InstanceQueueState> {
    return this.#state.value$;
  }
  get state(): InstanceQueueState {
    return this.#state.value;
  }

  /** Is it the core of one of the two? */
  uses(connection: object | undefined): boolean {
    return connection === this.producer.core || connection === this.consumer.core;
  }

  async connect(): Promise<void> {
    await Promise.all([this.producer.connect(), this.consumer.connect()]);
  }

  /** Idempotent; see `InstanceQueue.close`. A later call may shorten the time that is left. @throws OptionsError */
  close(options: CloseOptions | undefined): Promise<CloseReport> {
    const within = drainTimeoutOf(options, this.consumer.core.drainTimeout);
    this.#deadline = Math.min(this.#deadline, performance.now() + within);
    // The one that is closing now; the other gets what is left then.
    const closing = this.consumer.state.status === 'closed' ? this.producer : this.consumer;
    if (this.#closed) void closing.close({ drainTimeout: within });
    return (this.#closed ??= this.#close());
  }

  /** Closes the consuming connection first: handlers that still run may want to send. */
  async #close(): Promise<CloseReport> {
    const left = (): number => Math.max(0, this.#deadline - performance.now());
    const { unsettled } = await this.consumer.close({ drainTimeout: left() });
    const { unconfirmed } = await this.producer.close({ drainTimeout: left() });
    return { unsettled, unconfirmed };
  }
}

function relay(connection: Connection, role: Role, other: Connection, events: TypedEmitter<InstanceQueueEvents>): void {
  connection.on('disconnected', (state) => events.emit('disconnected', state, role));
  connection.on('connecting', (state) => events.emit('connecting', state, role));
  connection.on('connected', (state) => {
    // The broker is back: the other connection need not wait any longer.
    other.core.skipWait();
    events.emit('connected', state, role);
  });
  connection.on('reconnecting', (state) => events.emit('reconnecting', state, role));
  connection.on('closing', (state) => events.emit('closing', state, role));
  connection.on('closed', (state) => events.emit('closed', state, role));
  connection.on('blocked', (reason) => events.emit('blocked', reason, role));
  connection.on('unblocked', () => events.emit('unblocked', role));
}
