import type { ObservableInput } from 'rxjs';
import type { Codec } from '../codec';
import type { Arguments } from '../properties';
import type { QueueSpec, Topology } from '../topology';
import type { StreamStart } from './stream/stream-reader';

/** Options with nothing left open. */
export interface ResolvedConsumeOptions<T> {
  readonly queueName: string;
  /** Asserted; without one the queue is used by name. */
  readonly spec: QueueSpec | undefined;
  readonly declare: boolean;
  readonly topology: Topology;
  readonly codec: Codec<T, never>;
  readonly prefetch: number;
  readonly tagPrefix: string;
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly priority?: number;
  readonly arguments: Arguments;
  readonly onUndecodable: 'reject' | 'requeue';
  /** ms; 0: never. */
  readonly checkAfter: number;
  /** Of a stream: where to begin. */
  readonly offset?: StreamStart;
  readonly onOffset?: (offset: number) => void;
  readonly pause?: ObservableInput<boolean>;
  readonly until?: ObservableInput<unknown>;
}
