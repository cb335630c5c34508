import { firstValueFrom, from, map, race, timer } from 'rxjs';
import { PublishError } from '../errors';
import { checkOptions, expected, isObject } from '../options';
import { newMessageId, type OutboundMessage } from '../producer/outbound-message';
import type { Confirmation } from '../producer/pending-send';
import type { Producer } from '../producer/producer';
import { SEND, type SendOptions } from '../producer/producer-options';
import { partitionOf } from './partition-of';
import { partitionKey } from './partition-topology';

/** A message to a partitioned queue: a key instead of a route. */
export type KeyedMessage<T = unknown> = Omit<
  OutboundMessage<T>,
  'queue' | 'exchange' | 'routingKey' | 'streamFilter' | 'mandatory' | 'delay' | 'at'
> & {
  /** Messages of the same key keep their order. It decides about the partition and is not sent: a consumer that needs it finds it in the body. */
  readonly key: string;
};

export interface KeyedSendsOptions<T> {
  readonly name: string;
  readonly partitions: () => number;
  readonly producer: Producer<T>;
  /** ms for a message that says nothing else. */
  readonly timeout: number;
  /** Makes sure that the queues exist; `again`: asks the broker even if that was done before. */
  readonly declare: (again: boolean) => Promise<void>;
}

const COARSE = 1000;
/** ms before a message that its partition did not take is sent again: twice as long each time. */
const AGAIN_AFTER = { min: 50, max: 2000 };
/** https://www.rabbitmq.com/amqp-0-9-1-reference#constants */
const NOT_FOUND = 404;

/** Sends to the partitions of keys, one message at a time per key. */
export class KeyedSends<T> {
  readonly #options: KeyedSendsOptions<T>;
  /** The last message of each key that is under way. */
  readonly #last = new Map<string, Promise<Confirmation>>();
  #routingKeys: readonly string[] = [];
  #ready = false;

  constructor(options: KeyedSendsOptions<T>) {
    this.#options = options;
  }

  send(message: KeyedMessage<T>, options?: SendOptions): Promise<Confirmation> {
    // Not async as a rule, which would cost another promise per message.
    return options === undefined && isKeyed(message) ? this.#enqueue(message) : this.#checked(message, options);
  }

  async #checked(message: KeyedMessage<T>, options: SendOptions | undefined): Promise<Confirmation> {
    const given: unknown = message;
    if (!isObject(given)) throw expected('message', 'an object with a `key` and a `body`', given);
    if (!isKeyed(given)) throw expected('key', 'a string', given['key']);
    if (options !== undefined) checkOptions(options, SEND, { of: 'send()' });
    return this.#enqueue(message, options);
  }

  #enqueue(message: KeyedMessage<T>, options?: SendOptions): Promise<Confirmation> {
    const { key } = message;
    const began = performance.now();
    const before = this.#last.get(key);
    const first =
      before || !this.#ready ? this.#after(before, message, options, began) : this.#publish(message, options);
    const free = (): void => {
      if (this.#last.get(key) === sent) this.#last.delete(key);
    };
    // One promise beside that of the producer: each costs a tenth of the work for a message.
    const sent: Promise<Confirmation> = first.then(
      (confirmation) => {
        free();
        return confirmation;
      },
      (error: unknown) => this.#recover(error, message, options, began).finally(free),
    );
    this.#last.set(key, sent);
    return sent;
  }

  /** Waits for confirms, then rejects what remains. */
  close(drainTimeout: number): ReturnType<Producer['close']> {
    return this.#options.producer.close({ drainTimeout });
  }

  /** Behind the last message of its key. The deadline runs from the call. */
  async #after(
    before: Promise<unknown> | undefined,
    message: KeyedMessage<T>,
    options: SendOptions | undefined,
    began: number,
  ): Promise<Confirmation> {
    await before?.catch(() => undefined);
    const deadline = this.#deadline(options, began);
    if (!this.#ready) await this.#declare(false, message.messageId ?? newMessageId(), deadline);
    return this.#publish(message, { ...options, timeout: remaining(deadline) });
  }

  #deadline(options: SendOptions | undefined, began: number): number {
    return began + (options?.timeout ?? this.#options.timeout);
  }

  #publish(message: KeyedMessage<T>, options: SendOptions | undefined): Promise<Confirmation> {
    const { name, partitions, producer } = this.#options;
    const { key, body } = message;
    const count = partitions();
    if (this.#routingKeys.length !== count)
      this.#routingKeys = Array.from({ length: count }, (_, partition) => partitionKey(partition, count));
    const routingKey = this.#routingKeys[partitionOf(key, count)] ?? '';
    // Most messages have no properties, and what a rest pattern leaves is slow to read.
    if (saysNoMore(message)) return producer.send({ exchange: name, routingKey, body }, options);
    const { key: _, ...rest } = message;
    return producer.send({ ...rest, exchange: name, routingKey }, options);
  }

  /** Until the deadline, while its partition declines it; once more after everything was declared, if there was no queue. */
  async #recover(
    first: unknown,
    message: KeyedMessage<T>,
    options: SendOptions | undefined,
    began: number,
  ): Promise<Confirmation> {
    const deadline = this.#deadline(options, began);
    let error = first;
    let declared = false;
    for (let delay = AGAIN_AFTER.min; ; delay = Math.min(2 * delay, AGAIN_AFTER.max)) {
      if (!(error instanceof PublishError)) throw error;
      const { code, messageId } = error;
      if (isMissing(error) && !declared) {
        // A queue was deleted, or all of them were made anew in another number.
        declared = true;
        await this.#declare(true, messageId, deadline);
      } else if (code !== 'PUBLISH_NACKED' || performance.now() + delay > deadline) throw error;
      else await firstValueFrom(timer(delay));
      try {
        return await this.#publish({ ...message, messageId }, { ...options, timeout: remaining(deadline) });
      } catch (next) {
        error = next;
      }
    }
  }

  /** Rejects: as `declare` does; PublishError PUBLISH_TIMEOUT. */
  async #declare(again: boolean, messageId: string, deadline: number): Promise<void> {
    const late$ = timer(Math.max(1, deadline - performance.now())).pipe(
      map(() => {
        const message = 'The partitions could not be declared in time. The message was not sent.';
        throw new PublishError('PUBLISH_TIMEOUT', messageId, message);
      }),
    );
    await firstValueFrom(race(from(this.#options.declare(again)), late$));
    this.#ready = true;
  }
}

const isKeyed = (message: unknown): boolean => isObject(message) && typeof message['key'] === 'string';

function saysNoMore(message: object): boolean {
  for (const property in message) if (property !== 'key' && property !== 'body') return false;
  return true;
}

/** ms until the deadline. In whole seconds while there are many: the producer keeps a list of deadlines per distinct timeout. */
function remaining(deadline: number): number {
  const left = Math.max(1, deadline - performance.now());
  return left > COARSE ? Math.ceil(left / COARSE) * COARSE : left;
}

/** No queue took the message, or there is no exchange. */
const isMissing = ({ code, replyCode }: PublishError): boolean =>
  code === 'PUBLISH_RETURNED' || replyCode === NOT_FOUND;
