import type { ConnectionCore } from '../connection/connection-core';
import { forgetDelays } from '../delay/delay-levels';
import { PublishError } from '../errors';
import type { Verdict } from '../transport/transport';
import type { Confirmation, PendingSend } from './pending-send';
import { nackedError } from './send-errors';
import { tellConfirmed } from './publish-telemetry';
import { RESENDS_TO_MANY_QUEUES } from './nack-backoff';
import type { PublishingChannel } from './publishing-channel';

/** Receives the outcomes of messages in flight. */
export interface PumpEvents {
  readonly confirmed: (confirmation: Confirmation) => void;
  readonly resent: (messageId: string, attempt: number) => void;
  readonly returned: (cause: PublishError) => void;
  readonly dropped: (cause: PublishError) => void;
}

type Returned = Extract<Verdict, { kind: 'return' }>;

/** Puts back messages that are to be sent again. */
export interface Again {
  /** Ahead of everything sent after it. */
  readonly atOnce: (entry: PendingSend) => void;
  readonly later: (entry: PendingSend) => void;
}

/** Settles messages by the verdicts of the broker: ack, nack, return. */
export class Confirms {
  readonly #core: ConnectionCore;
  readonly #options: {
    readonly declare: boolean;
    readonly onNack: 'resend' | 'reject';
    readonly onUnknown: 'resend' | 'reject';
  };
  readonly #events: PumpEvents;
  readonly #again: Again;

  constructor(
    core: ConnectionCore,
    options: {
      readonly declare: boolean;
      readonly onNack: 'resend' | 'reject';
      readonly onUnknown: 'resend' | 'reject';
    },
    events: PumpEvents,
    again: Again,
  ) {
    this.#core = core;
    this.#options = options;
    this.#events = events;
    this.#again = again;
  }

  /** The broker returns a message, before its confirm. It identifies the message only by id and route. */
  returned(publishing: PublishingChannel, { messageId, exchange, routingKey, replyCode, replyText }: Returned): void {
    const entry = publishing.inFlight.oldest(
      ({ returned: already, message }) =>
        !already &&
        message.messageId === messageId &&
        message.exchange === exchange &&
        message.routingKey === routingKey &&
        message.mandatory,
    );
    if (entry) entry.returned = { replyCode, replyText };
  }

  acked(publishing: PublishingChannel, entry: PendingSend): void {
    if (entry.returned) {
      this.#unroutable(publishing, entry, entry.returned);
      return;
    }
    const confirmation = entry.confirm(publishing.epoch);
    // A late confirm: the deadline has passed, and the `send` has rejected.
    if (!confirmation) return;
    this.#core.counters.confirmed++;
    this.#events.confirmed(confirmation);
    tellConfirmed(entry, confirmation);
  }

  /**
   * A queue did not take the message. On the default exchange that is its only queue. On any other exchange, the broker may have
   * put it into other queues, and does not report that. https://www.rabbitmq.com/docs/confirms#when-publishes-are-confirmed
   */
  nacked(publishing: PublishingChannel, entry: PendingSend): void {
    this.#core.counters.nacked++;
    entry.nacks++;
    // A returned message reached no queue.
    if (entry.toOneQueue || entry.returned) entry.declined++;
    entry.returned = undefined;
    if (entry.settled) return;
    const { messageId, exchange, routingKey } = entry.message;
    const facts = { messageId, exchange, routingKey, nacks: entry.nacks, epoch: publishing.epoch };
    this.#core.log.debug(facts, 'nacked');
    if (this.#mayResend(entry)) this.#again.later(entry);
    else entry.reject(nackedError(entry));
  }

  #mayResend({ toOneQueue, nacks }: PendingSend): boolean {
    const { onNack, onUnknown } = this.#options;
    if (onNack === 'reject') return false;
    return toOneQueue || (onUnknown === 'resend' && nacks <= RESENDS_TO_MANY_QUEUES);
  }

  #unroutable(
    publishing: PublishingChannel,
    entry: PendingSend,
    { replyCode, replyText }: NonNullable<PendingSend['returned']>,
  ): void {
    const { messageId, sentTo: exchange, routingKey, queue, delayed } = entry.message;
    entry.returned = undefined;
    entry.declined++;
    if (entry.settled) return;
    this.#core.counters.returned++;
    const isEnsured = (queue !== undefined && this.#options.declare) || delayed?.waits === true;
    if (isEnsured && !entry.ensuredAgain) {
      // The queue, or a level of the delay, was deleted: declare it again, and send once more.
      entry.ensuredAgain = true;
      if (queue !== undefined) publishing.ensured.delete(queue);
      if (delayed) forgetDelays(publishing.link);
      this.#again.atOnce(entry);
      return;
    }
    const where =
      queue === undefined ? `exchange \`${exchange}\` with routing key \`${routingKey}\`` : `queue \`${queue}\``;
    const message = `No queue took the message sent to ${where}: ${String(replyCode)} ${replyText}. ${queue === undefined ? 'Is the binding there? An exchange that delays messages returns every one of them at once: declare its type in the topology, or send' : 'Send'} with \`mandatory: false\` to let such messages go.`;
    const cause = new PublishError('PUBLISH_RETURNED', messageId, message, {
      replyCode,
      maybeDelivered: entry.maybeDelivered,
    });
    this.#core.log.warn(
      { messageId, exchange, routingKey, replyCode, replyText },
      'message returned: no queue took it',
    );
    if (entry.reject(cause)) this.#events.returned(cause);
  }
}
