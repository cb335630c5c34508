import type { Patch } from './threads';

/** Mistakes in which message goes first, to whom, when, and with what. */
export const PLANTED_IN_DELIVERIES: Readonly<Record<string, Patch>> = {
  'a-resend-loses-its-priority': {
    file: 'lib/producer/pump.ts',
    search: 'if (publishing.channel.publish(message, remaining',
    replace:
      'const resent = { ...message, properties: message.properties && { ...message.properties, priority: undefined } };\n      if (publishing.channel.publish(entry.attempts > 0 ? resent : message, remaining',
  },
  'a-retry-loses-its-priority': {
    file: 'lib/retry/retry.ts',
    search: '      ...properties,\n      headers: { ...kept(',
    replace: '      ...properties,\n      priority: undefined,\n      headers: { ...kept(',
  },
  'a-consumer-loses-its-priority-when-it-attaches-again': {
    file: 'lib/consumer/attach-loop.ts',
    search: ': this.#options;\n      const attached$',
    replace:
      ': this.#reopening.everOpened ? { ...this.#options, priority: undefined } : this.#options;\n      const attached$',
  },
  'a-consumer-loses-its-arguments-when-it-attaches-again': {
    file: 'lib/consumer/attach-loop.ts',
    search: ': this.#options;\n      const attached$',
    replace:
      ': this.#reopening.everOpened ? { ...this.#options, arguments: {} } : this.#options;\n      const attached$',
  },
  'a-consumer-asks-for-more-than-its-prefetch': {
    file: 'lib/consumer/attach.ts',
    search: '{ queue, tag, prefetch, noAck,',
    replace: '{ queue, tag, prefetch: prefetch + 1, noAck,',
  },
  'a-consumer-may-be-moved-to-another-queue-unheard': {
    file: 'lib/consumer/attach.ts',
    search: 'notice.on(link.broker, {',
    replace: 'notice.on(undefined, {',
  },
  'a-delivery-is-handed-out-late': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'else this.#subscriber.next(message as Delivery<T>);',
    replace:
      'else if (raw.deliveryTag % 5 === 4) setTimeout(() => this.#subscriber.next(message as Delivery<T>), 3);\n    else this.#subscriber.next(message as Delivery<T>);',
  },
  'delays-of-all-priorities-share-their-queues': {
    file: 'lib/delay/levels.ts',
    search: "${kind === 'quorum' ? prioritySuffix(priority) : ''}",
    replace: '',
  },
  'retries-of-all-priorities-share-their-queue': {
    file: 'lib/retry/wait-queues.ts',
    search: '.quorum${prioritySuffix(priority)}',
    replace: '.quorum',
  },
  'a-delay-begins-anew-with-each-attempt': {
    file: 'lib/delay/delayed.ts',
    search: ': this.#until - (performance.now() - this.#since);',
    replace: ': this.#until;',
  },
  'a-delay-is-rounded-down': {
    file: 'lib/delay/levels.ts',
    search: 'Math.ceil(delay / unit)',
    replace: 'Math.max(1, Math.floor(delay / unit))',
  },
  'a-retry-in-its-queue-is-not-trusted': {
    file: 'lib/consumer/queue-delays.ts',
    search: 'if (failures > this.deliveryLimit) return false;',
    replace: 'if (failures > 1) return false;',
  },
  'one-message-too-many-is-worked-on': {
    file: 'lib/operators/handle.ts',
    search: 'this.#running.size < this.#limit) {',
    replace: 'this.#running.size <= this.#limit) {',
  },
  'bytes-of-the-outbox-do-not-count': {
    file: 'lib/producer/outbox.ts',
    search: ' && this.#bytes + bytes <= this.#bounds.bytes;',
    replace: ';',
  },
  'a-retried-message-comes-from-its-wait-queue': {
    file: 'lib/consumer/channel-delivery.ts',
    search: 'const route = history ?? (headers',
    replace: 'const route = (headers',
  },
  'a-raised-concurrency-starts-nothing': {
    file: 'lib/operators/handle.ts',
    search: 'this.seen(channel);\n        this.#start();',
    replace: 'this.seen(channel);',
  },
  'a-delayed-message-comes-from-its-level': {
    file: 'lib/delay/undelayed.ts',
    search: 'isOfDelays(message.exchange) ? textOf(headers, EXCHANGE) : message.exchange',
    replace: 'message.exchange',
  },
  'headers-are-lost-on-the-way-to-a-retry': {
    file: 'lib/retry/retry.ts',
    search: 'headers: { ...kept(headers, userId), ',
    replace: 'headers: { ',
  },
  'a-high-priority-is-written-as-a-low-one': {
    file: 'lib/amqp/wire/publish-frames.ts',
    search: 'at = to.writeUInt8(properties.priority, at);',
    replace: 'at = to.writeUInt8(properties.priority & 3, at);',
    mode: 'socket',
  },
};
