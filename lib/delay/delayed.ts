import type { InstanceQueueError } from '../errors';
import { isObject } from '../options';
import type { Arguments, MessageProperties } from '../properties';
import {
  EXPIRATION,
  LONGEST_DELAY,
  entryOf,
  levelHeaders,
  planOf,
  setOf,
  targetHeaders,
  type DelayKind,
  type Plan,
  type Target,
} from './levels';

/** What a message says of its delay. */
export interface DelayOptions {
  /**
   * ms from the `send` until the message is delivered to its queue or exchange, up to 8 years. It waits at the broker, in queues
   * that all services of the virtual host share, and the broker has confirmed it when the `send` resolves. Never early; late by
   * the resolution at most (16 ms up to a second, then 1/64 of the delay, at most 512 ms, and 1024 ms above 70 minutes), and by
   * what a busy broker takes. 0: at once. Cannot be combined with `at`, and not for requests.
   */
  readonly delay?: number;
  /** When the message is to be delivered, by this machine's clock; a time that has passed: at once. As `delay` otherwise. */
  readonly at?: Date;
}

/** The part of a message on the wire that depends on how long it still has to wait. */
export interface Wire {
  readonly exchange: string;
  readonly properties: MessageProperties | undefined;
  readonly mandatory: boolean;
}

interface Addressed {
  readonly queue: string | undefined;
  readonly routingKey: string;
}
const NOWHERE: Wire = { exchange: '', properties: undefined, mandatory: true };

/** Headers that hold further routing keys: they would take effect when the message enters a level, and be lost at its end. */
const CARBON_COPIES = ['CC', 'BCC'];

/** The delay of one message. */
export class Delayed {
  readonly kind: DelayKind;
  /** As it goes to the wire without a delay. */
  #direct: Wire = NOWHERE;
  #target: Target = { queue: '' };
  /** The start of the delay, monotonic ms; undefined: it ends at a time of the clock. */
  readonly #since: number | undefined;
  /** ms from the `send` to its end. */
  readonly total: number;
  /** ms, or the time at which it ends. */
  readonly #until: number;
  /** Does the message, as it was last written, wait at the broker? */
  waits = false;
  /** Why it cannot wait there. */
  refusal: InstanceQueueError | undefined;

  /** @throws TypeError or RangeError if the message cannot be delayed */
  constructor({ delay, at }: DelayOptions, kind: DelayKind, headers: Arguments | undefined) {
    if (delay !== undefined && at !== undefined) throw new TypeError('a message has a `delay` or an `at`, not both');
    const left = delay ?? Number(at) - Date.now();
    if (left > LONGEST_DELAY) throw new RangeError(`a message is delayed for 8 years at most, not ${String(left)} ms`);
    const copies = headers && CARBON_COPIES.find((name) => Object.hasOwn(headers, name));
    if (copies !== undefined) {
      throw new TypeError(`a delayed message has one route: send it without the header \`${copies}\`, once per route`);
    }
    this.kind = kind;
    this.#since = delay === undefined ? undefined : performance.now();
    this.#until = delay ?? Number(at);
    this.total = Math.max(0, left);
  }

  /** The message whose delay it is. */
  belongsTo({ queue, exchange, routingKey, properties, mandatory }: Wire & Addressed): void {
    this.#direct = { exchange, properties, mandatory };
    // The default exchange routes to the queue named by the routing key.
    this.#target = queue === undefined && exchange !== '' ? { exchange } : { queue: routingKey };
  }

  get target(): Target {
    return this.#target;
  }
  /** The exchange that the message is sent to, whatever lies in between. */
  get exchange(): string {
    return this.#direct.exchange;
  }
  /** ms that the message still has to wait. */
  get left(): number {
    return this.#since === undefined ? this.#until - Date.now() : this.#until - (performance.now() - this.#since);
  }
  /** The levels for a message that is published now; undefined: its time has come. */
  get plan(): Plan | undefined {
    const { left } = this;
    return left > 0 ? planOf(left) : undefined;
  }
  /** The set of levels in which it waits. */
  get set(): string {
    return setOf(this.kind, this.#direct.properties?.priority);
  }

  /**
   * The message as it is written now. An `expiration` would end its stay in a level, and a dead letter has none: it goes along in
   * a header. `isVolatile`: its queue goes with a connection.
   */
  wire(plan: Plan | undefined, isVolatile: boolean): Wire {
    this.waits = plan !== undefined;
    if (!plan) return this.#direct;
    const { expiration, headers, ...properties } = this.#direct.properties ?? {};
    return {
      exchange: entryOf(this.set, plan.top),
      properties: {
        ...properties,
        headers: {
          ...headers,
          ...levelHeaders(plan),
          ...targetHeaders(this.#target, isVolatile),
          ...(expiration !== undefined && { [EXPIRATION]: expiration }),
        },
      },
      // A level that is missing is declared again.
      mandatory: true,
    };
  }
}

/** An upper bound of what the headers of a delay add to a message, bytes. */
export const DELAY_HEADERS = 1400;

/** Does a message ask for a delay? */
export const isDelayed = (message: unknown): boolean =>
  isObject(message) && (message['delay'] !== undefined || message['at'] !== undefined);
