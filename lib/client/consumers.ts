import type { Observable } from 'rxjs';
import { consuming } from '../consumer/consume';
import {
  resolveConsumeOptions,
  type ConsumeOptions,
  type NoAckConsumeOptions,
  type ResolvedConsumeOptions,
} from '../consumer/consume-options';
import { Consumer } from '../consumer/consumer';
import type { Message } from '../consumer/delivery';
import type { ConnectionPair } from './connection-pair';
import { withConsumerDefaults, type InstanceQueueOptions } from './instance-queue-options';
import type { KnownNames } from './known-names';

/** Makes the consumers of one `InstanceQueue`, on its consuming connection, with its topology, defaults and known names. */
export class Consumers {
  readonly #connections: ConnectionPair;
  readonly #options: InstanceQueueOptions;
  readonly #names: KnownNames;

  constructor(connections: ConnectionPair, options: InstanceQueueOptions, names: KnownNames) {
    this.#connections = connections;
    this.#options = options;
    this.#names = names;
  }

  /** Cold; each subscription is a consumer. @throws OptionsError */
  consume<T>(options: ConsumeOptions<T> | NoAckConsumeOptions<T>): Observable<Message<T>> {
    return consuming(this.#connections.consumer, this.resolve<T>(options));
  }

  /** The options with nothing left open. @throws OptionsError */
  resolve<T>(options: ConsumeOptions<T> | NoAckConsumeOptions<T>): ResolvedConsumeOptions<T> {
    return this.#complete<T, typeof options>(options).resolved;
  }

  /** @throws OptionsError */
  consumer<T>(options: ConsumeOptions<T>): Consumer<T> {
    return new Consumer(this.#connections.consumer, this.#complete<T, typeof options>(options).given);
  }

  /** Adds the topology and defaults of the `InstanceQueue`, and remembers what the options declare. */
  #complete<T, O extends ConsumeOptions<T> | NoAckConsumeOptions<T>>(options: O): Complete<T, O> {
    const given = withConsumerDefaults(this.#options, options);
    const resolved = resolveConsumeOptions<T>(given);
    const { topology, queue } = options;
    this.#names.declare(topology);
    if (typeof queue === 'string') this.#names.check({ queue }, 'queue');
    else this.#names.declareQueue(queue, 'queue');
    if (resolved.spec) this.#connections.producer.core.learn(resolved.spec);
    return { given, resolved };
  }
}

/** Options with the defaults of the `InstanceQueue`, and the same with nothing left open. */
interface Complete<T, O> {
  readonly given: O;
  readonly resolved: ResolvedConsumeOptions<T>;
}
