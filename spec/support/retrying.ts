import {
  InstanceQueue,
  handle,
  type Handled,
  type InstanceQueueOptions,
  type Message,
  type QueueSpec,
} from 'instance-queue';
import type { RetryOptions } from 'instance-queue';
import { tap } from 'rxjs';
import { closing } from './cleanup';
import { gather, type Gathered } from './gather';

/** One run of a handler. */
export interface Run {
  readonly message: Message<unknown>;
  /** Monotonic, ms. */
  readonly at: number;
}

export interface Retrying {
  readonly front: InstanceQueue;
  readonly runs: readonly Run[];
  readonly handled: Gathered<Handled<unknown, unknown>>;
}

/** A consumer whose work fails as long as `fails` says so, with `retry` as its policy. */
export function retrying(
  target: string | InstanceQueueOptions,
  queue: string | QueueSpec,
  options: RetryOptions,
  fails: (message: Message<unknown>) => boolean = () => true,
  heard: (handled: Handled<unknown, unknown>) => void = () => undefined,
): Retrying {
  const front = closing(new InstanceQueue(target));
  const runs: Run[] = [];
  const work = (message: Message<unknown>): void => {
    runs.push({ message, at: performance.now() });
    if (fails(message)) throw new RangeError(`run ${String(message.deliveryCount + 1)} failed`);
  };
  const handled$ = front.consume({ queue }).pipe(handle(work, { onError: front.retry(options) }), tap(heard));
  const handled = gather(handled$);
  return { front, runs, handled };
}
