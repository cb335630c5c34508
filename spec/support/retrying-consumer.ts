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
import { closing } from './closing';
import { collect, type Collected } from './collect';

/** One call of the handler. */
export interface Run {
  readonly message: Message<unknown>;
  /** When it began: ms, monotonic. */
  readonly at: number;
}

export interface RetryingConsumer {
  readonly client: InstanceQueue;
  readonly runs: readonly Run[];
  readonly handled: Collected<Handled<unknown, unknown>>;
}

/** A consumer with `retry` as its error policy, whose handler throws while `fails` returns true. */
export function retryingConsumer(
  target: string | InstanceQueueOptions,
  queue: string | QueueSpec,
  options: RetryOptions,
  fails: (message: Message<unknown>) => boolean = () => true,
  onSettled: (handled: Handled<unknown, unknown>) => void = () => undefined,
): RetryingConsumer {
  const client = closing(new InstanceQueue(target));
  const runs: Run[] = [];
  const work = (message: Message<unknown>): void => {
    runs.push({ message, at: performance.now() });
    if (fails(message)) throw new RangeError(`run ${String(message.deliveryCount + 1)} failed`);
  };
  const handled$ = client.consume({ queue }).pipe(handle(work, { onError: client.retry(options) }), tap(onSettled));
  const handled = collect(handled$);
  return { client, runs, handled };
}
