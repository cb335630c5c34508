import type { Target } from './dead-letter';

/** What a replay, a move or a drop has done so far. */
export interface DeadLetterReport {
  /** Letters that were ready at the start. What arrives later is not touched. */
  readonly found: number;
  /** Letters that were looked at. */
  readonly read: number;
  /** Letters that match the filter. */
  readonly matched: number;
  /**
   * Those that were replayed, moved or dropped; with `dryRun`, those that would be: whether their queue or exchange is there is looked
   * up, but not whether the queue has room, and what is bound to the exchange.
   */
  readonly done: number;
  /** Letters that stayed where they are, by why. */
  readonly kept: {
    /** Nothing says where they came from, or they would come back at once. */
    readonly noOrigin: number;
    /** No queue took them there (PUBLISH_RETURNED). */
    readonly unroutable: number;
    /** They cannot be sent as they are, or the queue is full (PUBLISH_INVALID, PUBLISH_NACKED). */
    readonly refused: number;
  };
  /** How many went where: a queue, or `exchange → routing key`. 100 at most; the rest counts as `…`. */
  readonly targets: Readonly<Record<string, number>>;
  /** Why one of them stayed, in words. */
  readonly problem?: string;
  /**
   * Present while a queue does not take letters (nack), because it is full or has no leader: `target` as in `targets`. They are sent again
   * until then; after that they stay, and count as `refused`.
   */
  readonly declined?: { readonly target: string; readonly until: Date };
  /** Present if it ended early. Letters that were not looked at stay. */
  readonly stopped?: 'aborted' | 'delivery-limit';
}

/** As `DeadLetterReport.targets` names it. */
export const nameOf = ({ exchange, routingKey }: Target): string =>
  exchange === '' ? routingKey : `${exchange} → ${routingKey}`;
