import type { Settlement } from '../../transport/transport';
import type { Death } from './dead-letter';
import type { QueueConsumer } from './queue-consumer';
import type { Refusal } from './refusal';
import type { StoredMessage } from './stored-message';

/** Sees what happens at a broker in memory. `channel` identifies a channel. */
export interface BrokerObserver {
  readonly published?: (message: StoredMessage, outcome: 'taken' | 'unroutable' | 'full' | 'returned') => void;
  /** `consumer`: undefined for a message that was taken without one. */
  readonly delivered?: (
    channel: object,
    tag: number,
    message: StoredMessage,
    queue: string,
    consumer: QueueConsumer | undefined,
  ) => void;
  /** A client settled a delivery. */
  readonly settled?: (channel: object, tag: number, message: StoredMessage, how: Settlement, queue: string) => void;
  /** A message left its queue for good. `taken`: where it goes as a dead letter, if anywhere, took it. */
  readonly died?: (message: StoredMessage, death: Death, taken: boolean) => void;
  /** A message is gone, and there is no dead letter: with its queue, or with a restart of the broker. */
  readonly lost?: (message: StoredMessage, queue: string) => void;
  /** A client declares a queue, or asks for it by declaring it passively. */
  readonly declared?: (queue: string, passive: boolean) => void;
  /** The broker refuses what a client asked for. */
  readonly refused?: (refusal: Refusal) => void;
}
