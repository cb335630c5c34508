import type { ConnectionCore } from '../connection/connection-core';
import { PublishError, type InstanceQueueError } from '../errors';
import type { Topology } from '../topology';
import type { PendingSend } from './pending-send';
import { culprits } from './poison';
import type { PublishingChannel } from './publishing-channel';

/** Reply codes with which the broker closes the *connection* over a frame it cannot take. */
const FRAME_FAULTS: ReadonlySet<number | undefined> = new Set([501, 502, 503, 504, 505, 540]);

/** Judges what was in flight when a channel ended: one message may be the reason, the others are unknown. */
export class LostInFlight {
  readonly #core: ConnectionCore;
  /** What this producer declares by itself with each channel. */
  readonly #declared: () => Topology;
  /** In flight when the broker closed a channel over one of them and did not say which. */
  readonly #suspects = new Set<PendingSend>();

  constructor(core: ConnectionCore, declared: () => Topology) {
    this.#core = core;
    this.#declared = declared;
  }

  /** Is there a suspect? Then messages are sent one at a time: the culprit will be alone, and is known. */
  get suspecting(): boolean {
    if (this.#suspects.size === 0) return false;
    for (const entry of this.#suspects) if (entry.settled) this.#suspects.delete(entry);
    return this.#suspects.size > 0;
  }

  /** Rejects the culprits; returns the others, in order. */
  judge(publishing: PublishingChannel, error: InstanceQueueError): readonly PendingSend[] {
    // Those given up in flight too: the culprit may be among them.
    const all = publishing.inFlight.takeAll();
    const left = all.filter(({ settled }) => !settled);
    const { lost } = publishing.link;
    const refused = error.replyCode !== undefined && (!lost || FRAME_FAULTS.has(lost.replyCode));
    // A lost connection had other producers' messages on it, too: one that is alone here is guilty the second time.
    const named = refused ? culprits(all, error).filter((entry) => !lost || this.#suspects.has(entry)) : [];
    // Nobody can tell: one of them will close the channel alone, and is known then.
    if (refused && named.length === 0) for (const entry of left) this.#suspects.add(entry);
    const guilty = new Set(named.filter((entry) => !entry.settled && !this.#declaredHere(entry, error)));
    for (const entry of guilty) this.#refuse(entry, error);
    return left.filter((entry) => !guilty.has(entry));
  }

  /** An exchange of our own topology is declared with the next channel: its absence is nobody's fault. */
  #declaredHere({ exchange }: PendingSend, { replyCode }: InstanceQueueError): boolean {
    if (replyCode !== 404) return false;
    return (this.#declared().exchanges ?? []).some(({ name, passive }) => name === exchange && passive !== true);
  }

  #refuse(entry: PendingSend, cause: InstanceQueueError): void {
    const { messageId, exchange, routingKey, queue } = entry.message;
    this.#suspects.delete(entry);
    entry.declined++;
    this.#core.log.warn({ messageId, exchange, routingKey, err: cause }, 'message refused');
    const where = queue === undefined ? `exchange \`${exchange}\`` : `queue \`${queue}\``;
    const message = `The broker refused the message sent to ${where}. ${cause.message}`;
    const { maybeDelivered } = entry;
    entry.reject(
      new PublishError('PUBLISH_REFUSED', messageId, message, { cause, replyCode: cause.replyCode, maybeDelivered }),
    );
  }
}

/** Rejects a message of which nobody knows whether the broker has it. */
export function rejectUnknown(entry: PendingSend, cause: InstanceQueueError): void {
  const { messageId } = entry.message;
  const message = `The channel was lost before the broker confirmed the message; it may have it. ${cause.message}`;
  entry.reject(new PublishError('PUBLISH_UNKNOWN', messageId, message, { cause, maybeDelivered: true }));
}
