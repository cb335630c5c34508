import type { Patch } from './threads';

/** Mistakes in what options ask for. */
export const PLANTED_IN_OPTIONS: Readonly<Record<string, Patch>> = {
  'a-message-without-acks-is-dropped': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'else this.#subscriber.next(message as Delivery<T>);',
    replace: 'else if (!noAck || raw.deliveryTag % 5 !== 4) this.#subscriber.next(message as Delivery<T>);',
  },
  'a-consumer-is-not-exclusive-any-more-when-it-attaches-again': {
    file: 'lib/consumer/attach-loop.ts',
    search: ': this.#options;\n      const attached$',
    replace:
      ': this.#reopening.everOpened ? { ...this.#options, exclusive: false } : this.#options;\n      const attached$',
  },
  'a-tag-has-no-prefix': {
    file: 'lib/consumer/attach.ts',
    search: 'const tag = `${tagPrefix}-${randomUUID()}`;',
    replace: 'const tag = `${tagPrefix.slice(0, -1)}-${randomUUID()}`;',
  },
  'what-cannot-be-read-is-not-counted': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'this.#core.counters.undecodable++;',
    replace: '',
  },
  'what-cannot-be-read-is-rejected-against-the-policy': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'if (!noAck) attachment.refuse(raw, onUndecodable);',
    replace: "if (!noAck) attachment.refuse(raw, onUndecodable && 'reject');",
  },
  'what-cannot-be-read-stays-unsettled': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'if (!noAck) attachment.refuse(raw, onUndecodable);',
    replace: 'if (!noAck && raw.deliveryTag % 3 > 0) attachment.refuse(raw, onUndecodable);',
  },
  'the-filter-of-the-broker-is-trusted': {
    file: 'lib/consumer/delivery-decoder.ts',
    search: 'if (filter?.(raw, queue) === false) {',
    replace: 'if (filter?.(raw, queue) === false && raw.redelivered) {',
  },
  'a-filter-value-is-sent-once-in-a-while': {
    file: 'lib/producer/outbound-message.ts',
    search: 'return { ...headers, [FILTER_VALUE]: streamFilter };',
    replace: "return streamFilter === 'b' ? headers : { ...headers, [FILTER_VALUE]: streamFilter };",
  },
  'the-topology-of-a-consumer-is-not-declared': {
    file: 'lib/client/instance-queue-options.ts',
    search: '{ topology: mergeTopologies(given.topology, topology) }',
    replace: '{ topology: mergeTopologies(undefined, topology) }',
  },
  'messages-of-a-contract-are-read-by-the-default-codec': {
    file: 'lib/consumer/consume-options.ts',
    search: 'codec: (codecs?.body ?? auto) as Codec<T, never>,',
    replace: 'codec: auto as Codec<T, never>,',
  },
  'messages-to-a-contract-are-written-by-the-default-codec': {
    file: 'lib/producer/encoded-message.ts',
    search: "if (typeof queue === 'object') return queue[CONTRACT].toSend();",
    replace: "if (typeof queue === 'object' && routingKey !== '') return queue[CONTRACT].toSend();",
  },
  'a-resend-is-transient': {
    file: 'lib/producer/pump.ts',
    search: 'if (publishing.channel.publish(message, remaining',
    replace:
      'const resent = entry.attempts > 0 ? { ...message, persistent: false } : message;\n      if (publishing.channel.publish(resent, remaining',
  },
  'everything-is-persistent': {
    file: 'lib/producer/encoded-message.ts',
    search: 'this.persistent = persistent ?? defaults.persistent;',
    replace: 'this.persistent = persistent ?? true;',
  },
  'a-queue-that-is-not-to-be-declared-is-looked-for': {
    file: 'lib/consumer/attach.ts',
    search: 'if (!declare) return { channel',
    replace: "if (!declare && queueName === '') return { channel",
  },
  'a-limit-in-bytes-is-declared-as-one-of-messages': {
    file: 'lib/topology-arguments.ts',
    search: "'x-max-length-bytes': spec.maxLengthBytes,",
    replace: "'x-max-length': spec.maxLength ?? spec.maxLengthBytes,",
  },
  'a-queue-is-not-deleted-with-its-last-consumer': {
    file: 'lib/topology-arguments.ts',
    search:
      "autoDelete: spec.autoDelete ?? false,\n    arguments: {\n      ...plain(spec.arguments),\n      ...present({\n        'x-queue-type'",
    replace:
      "autoDelete: false,\n    arguments: {\n      ...plain(spec.arguments),\n      ...present({\n        'x-queue-type'",
  },
  'a-letter-is-acked-before-its-copy-is-confirmed': {
    file: 'lib/dead-letters/transfer.ts',
    search: 'await this.#producer?.send({',
    replace: 'this.#scan.ack(tag);\n      await this.#producer?.send({',
  },
  'a-letter-that-comes-back-is-acked': {
    file: 'lib/dead-letters/transfer.ts',
    search: "if (code === 'PUBLISH_RETURNED') this.#keep(tag, 'unroutable');",
    replace: "if (code === 'PUBLISH_RETURNED') this.#scan.ack(tag);",
  },
  'dropped-letters-are-counted-twice': {
    file: 'lib/dead-letters/transfer.ts',
    search: 'this.#scan.ack(tag);\n      this.#done++;\n    } else',
    replace: 'this.#scan.ack(tag);\n      this.#done += 2;\n    } else',
  },
  'surplus-partitions-stay': {
    file: 'lib/partitioned/partition-topology.ts',
    search: 'surplus < layout.partitions; surplus++',
    replace: 'surplus < layout.partitions - 1; surplus++',
  },
};
