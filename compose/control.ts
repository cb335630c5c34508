import type { BrokerHandle } from './broker-handle';
import type { BrokerHost } from './broker-host';
import {
  CHANNELS_EXPRESSION,
  CONNECTIONS_EXPRESSION,
  NO_MEMORY_EXPRESSION,
  USUAL_WATERMARK_EXPRESSION,
  closeConnectionExpression,
  consumersExpression,
  queuesExpression,
  type ChannelRow,
  type ConnectionRow,
  type ConsumerRow,
  type QueueRow,
} from './listings';

/** A running RabbitMQ and the levers on it. Every method works in any process that holds the handle. */
export interface Broker {
  readonly handle: BrokerHandle;
  /** With credentials. */
  readonly url: string;
  /** Of RabbitMQ, as the broker says it: `3.10.8`. */
  readonly version: string;
  readonly how: BrokerHandle['how'];
  /** `rabbitmqctl`: resolves to what it prints, rejects with what it says on stderr. */
  ctl(...args: string[]): Promise<string>;
  connections(): Promise<ConnectionRow[]>;
  channels(): Promise<ChannelRow[]>;
  /** Of one virtual host, `/` if not said. */
  queues(vhost?: string): Promise<QueueRow[]>;
  consumers(vhost?: string): Promise<ConsumerRow[]>;
  /** The broker closes every connection of this name, or the one with this pid: 320 CONNECTION_FORCED. Resolves to how many. */
  closeConnection(nameOrPid: string, reason?: string): Promise<number>;
  /** `rabbitmqctl stop_app`: connections are closed and listeners gone, the process stays. */
  stopApp(): Promise<void>;
  startApp(): Promise<void>;
  /** SIGKILL to the broker's process. */
  kill(): Promise<void>;
  /** Brings it up again on the same port with the same data; resolves once AMQP is answered. */
  start(): Promise<void>;
  /** On: publishing connections are blocked. Off: back to the configured watermark. */
  memoryAlarm(on: boolean): Promise<void>;
  /** For good: nothing is left of it. Can be called again. */
  stop(): Promise<void>;
}

export class ControlledBroker implements Broker {
  readonly handle: BrokerHandle;
  readonly #host: BrokerHost;
  #stopped: Promise<void> | undefined;

  constructor(handle: BrokerHandle, host: BrokerHost) {
    this.handle = handle;
    this.#host = host;
  }

  get url(): string {
    return this.handle.url;
  }

  get version(): string {
    return this.handle.version;
  }

  get how(): BrokerHandle['how'] {
    return this.handle.how;
  }

  ctl(...args: string[]): Promise<string> {
    return this.#host.ctl(args);
  }

  async stopApp(): Promise<void> {
    await this.ctl('stop_app');
  }

  async startApp(): Promise<void> {
    await this.ctl('start_app');
  }

  kill(): Promise<void> {
    return this.#host.kill();
  }

  start(): Promise<void> {
    return this.#host.start();
  }

  connections(): Promise<ConnectionRow[]> {
    return this.#ask<ConnectionRow[]>(CONNECTIONS_EXPRESSION);
  }

  channels(): Promise<ChannelRow[]> {
    return this.#ask<ChannelRow[]>(CHANNELS_EXPRESSION);
  }

  queues(vhost = '/'): Promise<QueueRow[]> {
    return this.#ask<QueueRow[]>(queuesExpression(vhost));
  }

  consumers(vhost = '/'): Promise<ConsumerRow[]> {
    return this.#ask<ConsumerRow[]>(consumersExpression(vhost));
  }

  async closeConnection(nameOrPid: string, reason = 'closed for a test'): Promise<number> {
    const answer = await this.#ask<{ closed: number; names: string[] }>(closeConnectionExpression(nameOrPid, reason));
    if (answer.closed > 0) return answer.closed;
    throw new Error(
      `Expected a connection with the name or pid ${JSON.stringify(nameOrPid)}, but there are only ${JSON.stringify(answer.names)}`,
    );
  }

  async memoryAlarm(on: boolean): Promise<void> {
    await this.ctl('eval', on ? NO_MEMORY_EXPRESSION : USUAL_WATERMARK_EXPRESSION);
  }

  stop(): Promise<void> {
    return (this.#stopped ??= this.#host.remove());
  }

  async #ask<Answer>(expression: string): Promise<Answer> {
    const said = await this.ctl('eval', expression, '--formatter', 'json');
    const { value } = JSON.parse(said) as { value: Answer };
    return value;
  }
}
