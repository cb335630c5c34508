import { abortSignal, boolean, type Check, countFrom, integer, isObject, number, type Shape } from '../options';
import type { Route } from '../properties';
import { where, type Where } from './letter-filter';

/** How much of a dead-letter queue is looked at. */
export interface LookOptions {
  /** Letters to read at most, from the oldest on; Infinity: all. @default 1000 */
  readonly limit?: number;
  /** Only letters that match this filter. @default all */
  readonly where?: Where;
  /**
   * The delivery limit of the queue, -1 for none: RabbitMQ 4.0 to 4.2 counts each look at a quorum queue towards it. Looking is
   * refused if the first letter has used half of it, and ends at a letter that has two deliveries left. @default that of the broker, 20
   */
  readonly deliveryLimit?: number;
}

/** Which letters are taken out of their queue, and how. */
export interface TakeOptions {
  /** Letters to read at most, from the oldest on. @default all that are there at the start */
  readonly limit?: number;
  /** Only letters that match this filter; the others stay, in their places. @default all */
  readonly where?: Where;
  /** Counts what would be done, and does nothing. @default false */
  readonly dryRun?: boolean;
  /** As in `LookOptions`: letters that do not match are read and returned, which counts. @default that of the broker, 20 */
  readonly deliveryLimit?: number;
  /**
   * When aborted, no further letter is taken, and the last report says so. Those under way have a second to be confirmed; what is not
   * confirmed by then stays.
   */
  readonly signal?: AbortSignal;
}

/** How letters are sent. */
export interface MoveOptions extends TakeOptions {
  /** Letters per second at most, above 0. @default no limit */
  readonly rate?: number;
}

/** Where letters are sent back to. */
export interface ReplayOptions extends MoveOptions {
  /**
   * `'queue'`: into the queue in which each failed, and into no other. `'published'`: as it was first published, to every queue that
   * is bound there, also to those that have worked on it. Or a route for all. @default 'queue'
   */
  readonly to?: 'queue' | 'published' | Route;
}

export const LOOK: Shape<LookOptions> = { limit: countFrom(1), where, deliveryLimit: integer(-1, 2 ** 31 - 1) };
export const TAKE: Shape<TakeOptions> = { ...LOOK, dryRun: boolean, signal: abortSignal };
export const MOVE: Shape<MoveOptions> = { ...TAKE, rate: number(0.001, 1_000_000) };
const destination: Check = (value) =>
  value === 'queue' || value === 'published' || isObject(value) ? undefined : "'queue', 'published' or a route";
export const REPLAY: Shape<ReplayOptions> = { ...MOVE, to: destination };
