import type { Connection } from '../connection/connection';
import { checkIsOptions, withDefaults } from '../options';
import { Producer } from '../producer/producer';
import type { ProducerInside, ProducerOptions } from '../producer/producer-options';
import { FORWARDING, Forwarder } from '../retry/forwarder';
import { Requester } from '../rpc/requester';
import { mergeTopologies } from '../topology';
import type { InstanceQueueOptions } from './instance-queue-options';
import type { KnownNames } from './known-names';

/** Makes all that publishes for one `InstanceQueue`, on its producing connection, with its topology, defaults and known names. */
export class Publishers {
  readonly #connection: Connection;
  readonly #options: InstanceQueueOptions;
  readonly #names: KnownNames;
  readonly #made: (producer: Producer) => void;
  #forwarder: Forwarder | undefined;
  #requester: Requester | undefined;

  /** `made` is called with each producer. */
  constructor(
    connection: Connection,
    options: InstanceQueueOptions,
    names: KnownNames,
    made: (producer: Producer) => void,
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#names = names;
    this.#made = made;
  }

  /** A producer that users send with: each of its messages names a known queue or exchange. @throws OptionsError */
  producer<T>(options: ProducerOptions<T> = {}): Producer<T> {
    return this.#make(options, { names: this.#names });
  }

  /** Sends requests. Their names are checked before they come to it. */
  get requester(): Requester {
    return (this.#requester ??= new Requester(
      this.#connection.core,
      (policy, prepare) => this.#make({ onUnknown: policy, onNack: policy, mandatory: true }, { prepare }),
      this.#options.producer?.timeout,
    ));
  }

  /** Publishes for consumers: copies to retry, dead letters, replies. */
  get forwarder(): Forwarder {
    return (this.#forwarder ??= new Forwarder(this.#connection.core, this.#make(FORWARDING)));
  }

  #make<T>(options: ProducerOptions<T>, inside: ProducerInside = {}): Producer<T> {
    checkIsOptions(options, 'a producer');
    this.#names.declare(options.topology);
    const topology = mergeTopologies(options.topology, this.#options.topology);
    // A codec among the defaults is the caller's: nothing here can tell whether it fits what this producer sends.
    const defaults = (this.#options.producer ?? {}) as ProducerOptions<T>;
    const producer = new Producer<T>(this.#connection, { ...withDefaults(defaults, options), topology }, inside);
    this.#made(producer);
    return producer;
  }
}
