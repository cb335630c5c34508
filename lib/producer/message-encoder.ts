import { logBrokerHeaders } from '../broker-headers';
import type { Codec } from '../codec';
import type { ConnectionCore } from '../connection/connection-core';
import { isQueueContract } from '../contract';
import type { ContractMessage, OutboundMessage } from './contract-message';
import { encode, type Encoded, type MessageDefaults } from './outbound-message';
import type { ProducerInside } from './producer-options';

/** Checks and encodes the messages of one producer, and remembers the contracts that they are addressed to. */
export class MessageEncoder<T> {
  readonly #core: ConnectionCore;
  readonly #codec: Codec<unknown, T>;
  readonly #defaults: MessageDefaults;
  readonly #inside: ProducerInside;
  readonly #learned = new WeakSet();

  constructor(core: ConnectionCore, codec: Codec<unknown, T>, defaults: MessageDefaults, inside: ProducerInside) {
    this.#core = core;
    this.#codec = codec;
    this.#defaults = defaults;
    this.#inside = inside;
  }

  /** @throws PublishError PUBLISH_INVALID; OptionsError if a contract cannot be right */
  encode(message: OutboundMessage<T> | ContractMessage): Encoded {
    const encoded = encode<unknown>(message, this.#codec, this.#defaults);
    const { contract, messageId } = encoded;
    if (contract !== undefined && !this.#learned.has(contract)) this.#learn(contract);
    this.#inside.checkRoute?.(encoded);
    if (message.headers) logBrokerHeaders(this.#core.log, message.headers, messageId);
    return encoded;
  }

  #learn(contract: NonNullable<Encoded['contract']>): void {
    this.#inside.learn?.(contract);
    if (isQueueContract(contract)) this.#core.learn(contract);
    this.#learned.add(contract);
  }
}
