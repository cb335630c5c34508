import { PLANTED_IN_AMQP } from './planted-in-amqp';
import { PLANTED_IN_DELIVERIES } from './planted-in-deliveries';
import { PLANTED_IN_OPTIONS } from './planted-in-options';
import { PLANTED_IN_PARTITIONS } from './planted-in-partitions';
import { PLANTED_IN_STREAMS } from './planted-in-streams';
import type { Patch } from './threads';

/** Mistakes that the simulator has to find: each is planted alone. */
export const PLANTED: Readonly<Record<string, Patch>> = {
  'in-flight-messages-are-not-sent-again': {
    file: 'lib/producer/pump.ts',
    search: "if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);",
    replace: "if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent.slice(1));",
  },
  'unknown-messages-are-sent-again-against-the-policy': {
    file: 'lib/producer/pump.ts',
    search: "if (this.#options.onUnknown === 'resend') this.outbox.restore(innocent);",
    replace: 'if (innocent.length >= 0) this.outbox.restore(innocent);',
  },
  'what-has-shrunk-begins-where-it-ended': {
    file: 'lib/collections/ring.ts',
    search: 'this.#slots.length > MAX_IDLE_SLOTS) this.clear();',
    replace: 'this.#slots.length > MAX_IDLE_SLOTS) this.#slots = empty(MIN_SLOTS);',
  },
  'resends-go-to-the-end': {
    file: 'lib/producer/outbox.ts',
    search: 'next && next.order < entry.order;',
    replace: 'next;',
  },
  'a-nack-counts-as-an-ack': {
    file: 'lib/producer/pump.ts',
    search: 'publishing.inFlight.confirm(verdict.number, verdict.multiple, nacked);',
    replace: 'publishing.inFlight.confirm(verdict.number, verdict.multiple, acked);',
  },
  'a-nacked-message-is-forgotten': {
    file: 'lib/producer/verdicts.ts',
    search: '    this.#later.add(entry);\n    this.#events.declined(entry);',
    replace: '    this.#events.declined(entry);',
  },
  'a-return-is-missed': {
    file: 'lib/producer/verdicts.ts',
    search: 'if (entry) entry.returned = { replyCode, replyText };',
    replace: 'if (entry && replyCode === 0) entry.returned = { replyCode, replyText };',
  },
  'a-nack-says-that-the-broker-has-it': {
    file: 'lib/producer/pending-send.ts',
    search: 'return this.attempts > this.declined;',
    replace: 'return this.attempts > this.declined + 1;',
  },
  'a-timeout-denies-that-it-was-sent': {
    file: 'lib/producer/send-errors.ts',
    search:
      "...(core.state.status === 'reconnecting' && { cause: core.state.cause }),\n    maybeDelivered: entry.maybeDelivered,",
    replace: "...(core.state.status === 'reconnecting' && { cause: core.state.cause }),\n    maybeDelivered: false,",
  },
  'an-abort-denies-that-it-was-sent': {
    file: 'lib/producer/send-errors.ts',
    search: 'cause: signal.reason,\n    maybeDelivered,',
    replace: 'cause: signal.reason,\n    maybeDelivered: false,',
  },
  'unknown-denies-that-it-was-sent': {
    file: 'lib/producer/publishing-channel.ts',
    search: '{ cause, maybeDelivered: true }',
    replace: '{ cause, maybeDelivered: false }',
  },
  'a-confirm-of-several-confirms-one-more': {
    file: 'lib/producer/outbox.ts',
    search: 'const meant = tag - this.#first;',
    replace: 'const meant = tag - this.#first + (multiple ? 1 : 0);',
  },
  'a-confirm-is-off-by-one-after-a-gap': {
    file: 'lib/producer/outbox.ts',
    search: 'this.#entries.shift();\n      this.#first++;',
    replace: 'this.#entries.shift();\n      if (this.#entries.length !== 3) this.#first++;',
  },
  'the-window-is-open-by-one-too-many': {
    file: 'lib/producer/pump.ts',
    search: 'if (inFlight.size >= (',
    replace: 'if (inFlight.size > (',
  },
  'the-outbox-is-not-bounded': {
    file: 'lib/producer/outbox.ts',
    search: 'return this.#count + count <= this.#bounds.limit &&',
    replace: 'return this.#count + count <= 2 * this.#bounds.limit + 5 &&',
  },
  'nacked-messages-do-not-count': {
    file: 'lib/producer/pump.ts',
    search: 'return this.outbox.hasRoom(bytes + this.#nacked.bytes, count + this.#nacked.size);',
    replace: 'return this.outbox.hasRoom(bytes, count);',
  },
  'publishing-goes-on-while-blocked-and-stops-after': {
    file: 'lib/producer/pump.ts',
    search: 'this.#unblocked = core.blocked$.subscribe(() => {\n      this.pump();',
    replace: 'this.#unblocked = core.blocked$.subscribe(() => {\n      this.#tell();',
  },
  'a-full-socket-is-never-tried-again': {
    file: 'lib/producer/pump.ts',
    search: 'channel.drain$.subscribe(() => {\n      this.pump();',
    replace: 'channel.drain$.subscribe(() => {\n      this.#tell();',
  },
  'the-pump-forgets-after-ensuring': {
    file: 'lib/producer/pump.ts',
    search: 'void ensured.then(() => {\n        this.pump();',
    replace: 'void ensured.then(() => {\n        this.#tell();',
  },
  'a-closing-channel-loses-its-message': {
    file: 'lib/producer/pump.ts',
    search: 'this.outbox.restore([entry]);\n    return false;',
    replace: 'return false;',
  },
  'a-channel-counts-its-confirms-on-from-the-last-one': {
    file: 'lib/producer/publishing-channel.ts',
    search: 'readonly inFlight = new Unconfirmed<PendingSend>();',
    replace: 'static readonly #last = new Unconfirmed<PendingSend>();\n  readonly inFlight = PublishingChannel.#last;',
  },
  'the-timer-of-nacks-leaks': {
    file: 'lib/producer/verdicts.ts',
    search: 'for (const { wait } of this.#routes.values()) wait?.unsubscribe();',
    replace: 'for (const { wait } of this.#routes.values()) if (this.#size < 0) wait?.unsubscribe();',
  },
  'close-forgets-nacked-messages': {
    file: 'lib/producer/pump.ts',
    search: 'return waiting === undefined && this.#nacked.size === 0 && this.outbox.empty;',
    replace: 'return waiting === undefined;',
  },
  'messages-left-by-close-never-settle': {
    file: 'lib/producer/producer.ts',
    search: 'for (const entry of left) entry.reject(this.#closedError(entry.message.messageId, entry.maybeDelivered));',
    replace:
      'for (const entry of left.slice(1)) entry.reject(this.#closedError(entry.message.messageId, entry.maybeDelivered));',
  },
  'a-message-left-by-close-denies-that-it-was-sent': {
    file: 'lib/producer/producer.ts',
    search: 'for (const entry of left) entry.reject(this.#closedError(entry.message.messageId, entry.maybeDelivered));',
    replace: 'for (const entry of left) entry.reject(this.#closedError(entry.message.messageId, false));',
  },
  'acks-go-over-an-unsettled-delivery': {
    file: 'lib/consumer/ack-batching.ts',
    search: 'if (tag > lowest) singly.push(tag);',
    replace: 'if (tag > lowest + 1) singly.push(tag);',
  },
  'one-of-several-acks-is-lost': {
    file: 'lib/consumer/ack-batching.ts',
    search: 'upTo = Math.max(tag, upTo ?? 0);',
    replace: 'upTo = Math.min(tag, upTo ?? tag);',
  },
  'acks-wait-for-ever': {
    file: 'lib/consumer/ack-batching.ts',
    search: 'this.#soon ??= timer(this.#gatherFor)',
    replace: 'this.#soon ??= timer(2 ** 31 - 1)',
  },
  'acks-are-not-flushed-when-the-channel-closes': {
    file: 'lib/consumer/consumer-channel.ts',
    search: 'if (!frames || this.ended) return;',
    replace: 'if (!frames || this.ended || (this.#draining && this.unsettled === 0)) return;',
  },
  'a-rejected-delivery-is-acked': {
    file: 'lib/consumer/consumer-channel.ts',
    search: 'this.#send(tag, how);\n  }',
    replace: "this.#send(tag, how === 'reject' ? 'ack' : how);\n  }",
  },
  'a-single-ack-settles-those-before-it': {
    file: 'lib/consumer/consumer-channel.ts',
    search: "for (const tag of frames.singly) this.#send(tag, 'ack');",
    replace: "for (const tag of frames.singly) this.#send(tag, 'ack', true);",
  },
  'work-that-fails-is-acked': {
    file: 'lib/operators/handle.ts',
    search: 'const sent = delivery.settled === undefined && settleBy(delivery, settlement);',
    replace:
      "const sent = delivery.settled === undefined && settleBy(delivery, settlement === 'reject' ? 'ack' : settlement);",
  },
  'deliveries-are-acked-before-the-work': {
    file: 'lib/operators/handle.ts',
    search: 'this.#begin(delivery).run(this.#work, this.#options.timeout);',
    replace:
      'if (this.#begun % 7 === 6) delivery.ack();\n      this.#begin(delivery).run(this.#work, this.#options.timeout);',
  },
  'a-key-is-not-held': {
    file: 'lib/operators/handle.ts',
    search: 'new HeldDeliveries(key ? new KeyedQueue(key) : new PartitionOrder(), this)',
    replace: 'new HeldDeliveries(new PartitionOrder(), this)',
  },
  'a-key-is-never-freed': {
    file: 'lib/operators/handle.ts',
    search: 'this.#held.done(attempt.delivery);',
    replace: 'if (attempt.delivery.settled !== undefined && handled.sent) this.#held.done(attempt.delivery);',
  },
  'an-unsubscribed-handle-keeps-its-deliveries': {
    file: 'lib/operators/held-deliveries.ts',
    search: 'this.#stop$.next();\n    this.#release(() => true);',
    replace: 'this.#stop$.next();',
  },
  'the-rest-of-a-batch-is-not-acked': {
    file: 'lib/operators/batch.ts',
    search: 'return this.#settle((delivery) => delivery.ack());',
    replace:
      'let first = true;\n    return this.#settle((delivery) => (first || this.deliveries.length < 3 ? ((first = false), delivery.ack()) : false));',
  },
  'a-batch-has-no-deadline': {
    file: 'lib/operators/batch.ts',
    search: 'timer(this.#options.within)',
    replace: 'timer(1000 * this.#options.within)',
  },
  'a-cancelled-consumer-stays-away': {
    file: 'lib/consumer/attach.ts',
    search: 'subscriber.error(cancelledByBroker(queue));',
    replace: 'void cancelledByBroker(queue);',
  },
  'a-consumer-does-not-attach-after-a-pause': {
    file: 'lib/consumer/consume-subscription.ts',
    search: 'if (paused) this.#detach();\n        else this.#attach();',
    replace: 'if (paused) this.#detach();',
  },
  'a-channel-is-not-opened-again': {
    file: 'lib/connection/reopening.ts',
    search: 'if (!lost) return timer(delay);',
    replace: 'if (!lost) return timer(Math.max(delay, error.replyCode === 406 ? 2 ** 30 : 0));',
  },
  'the-state-stays-reconnecting': {
    file: 'lib/connection/supervisor.ts',
    search: "this.#write({ status: 'connected', epoch: up.epoch, endpoint: link.endpoint });",
    replace: "if (this.#epoch !== 3) this.#write({ status: 'connected', epoch: up.epoch, endpoint: link.endpoint });",
  },
  'epochs-do-not-count': {
    file: 'lib/connection/supervisor.ts',
    search: 'this.#epoch++;',
    replace: 'this.#epoch = Math.min(2, this.#epoch + 1);',
  },
  'a-timer-of-the-supervisor-leaks': {
    file: 'lib/connection/supervisor.ts',
    search: 'this.#closing = true;\n    this.#stability?.unsubscribe();',
    replace: 'this.#closing = true;',
  },
  'a-reply-goes-to-another-request': {
    file: 'lib/rpc/requester.ts',
    search: 'const request = correlationId === undefined ? undefined : this.#pending.get(correlationId);',
    replace: 'const request = correlationId === undefined ? undefined : [...this.#pending.values()][0];',
  },
  'a-request-cut-off-waits-for-ever': {
    file: 'lib/rpc/requester.ts',
    search: 'if (request.confirmed) this.#cutOff(request, cause);\n    });',
    replace: 'if (request.settled) this.#cutOff(request, cause);\n    });',
  },
  'a-batch-settles-before-its-last': {
    file: 'lib/producer/send-all.ts',
    search: 'if (--this.#open > 0) return;',
    replace: 'if (--this.#open > 1) return;',
  },
  'a-batch-mixes-up-its-outcomes': {
    file: 'lib/producer/send-all.ts',
    search: 'this.#outcomes[order - this.#first] = outcome;',
    replace: 'this.#outcomes[this.#outcomes.length - this.#open] = outcome;',
  },
  'publish-takes-one-message-too-many': {
    file: 'lib/producer/publish.ts',
    search: 'return this.#underWay < this.#most && !this.#subscriber.closed;',
    replace: 'return this.#underWay <= this.#most && !this.#subscriber.closed;',
  },
  'publish-completes-with-its-source': {
    file: 'lib/producer/publish.ts',
    search: 'if (this.#finished && this.#underWay === 0) this.#subscriber.complete();',
    replace: 'if (this.#finished && this.#underWay <= 1) this.#subscriber.complete();',
  },
  'a-return-is-no-event': {
    file: 'lib/producer/verdicts.ts',
    search: 'if (entry.reject(cause)) this.#events.returned(cause);',
    replace: 'entry.reject(cause);',
  },
  'a-returned-message-may-be-at-the-broker': {
    file: 'lib/producer/verdicts.ts',
    search:
      'entry.returned = undefined;\n    entry.declined++;\n    if (entry.settled) return;\n    this.#options.counters.returned++;',
    replace: 'entry.returned = undefined;\n    if (entry.settled) return;\n    this.#options.counters.returned++;',
  },
  'expiration-starts-anew-with-each-attempt': {
    file: 'lib/producer/pump.ts',
    search: 'remaining === undefined ? undefined : Math.ceil(remaining)',
    replace: 'remaining === undefined ? undefined : message.properties?.expiration',
  },
  'messages-expire-early': {
    file: 'lib/producer/pending-send.ts',
    search: '- (performance.now() - this.since);',
    replace: '- 2 * (performance.now() - this.since);',
  },
  'publishing-goes-on-while-blocked': {
    file: 'lib/producer/pump.ts',
    search: 'if (!open || channel.ended || link.lost || this.#core.blocked !== undefined) return false;',
    replace: 'if (!open || channel.ended || link.lost) return false;',
  },
  'what-is-not-tried-counts-as-failed': {
    file: 'lib/operators/held-deliveries.ts',
    search: 'for (const delivery of this.#queue.remove(matches)) delivery.release();',
    replace: 'for (const delivery of this.#queue.remove(matches)) delivery.requeue();',
  },
  ...PLANTED_IN_DELIVERIES,
  ...PLANTED_IN_OPTIONS,
  ...PLANTED_IN_PARTITIONS,
  ...PLANTED_IN_STREAMS,
  ...PLANTED_IN_AMQP,
};
