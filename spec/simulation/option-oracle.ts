import type { QueueSpec } from 'instance-queue';
import type { QueueConsumer } from '../../lib/testing/memory/queue-consumer';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import { CONTRACTED, ownQueueOf, type Body } from './body';
import type { Findings } from './findings';
import { filterOf, type ConsumerPlan, type Plan, type ProducerPlan } from './plan';

/** What the tags of consumers begin with, by default. */
const TAG_PREFIX = 'instance-queue-';

/** Of the queues, by RabbitMQ's names. https://www.rabbitmq.com/docs/queues#optional-arguments */
const ARGUMENTS: readonly (readonly [keyof QueueSpec, string])[] = [
  ['messageTtl', 'x-message-ttl'],
  ['expires', 'x-expires'],
  ['maxLength', 'x-max-length'],
  ['maxLengthBytes', 'x-max-length-bytes'],
  ['overflow', 'x-overflow'],
];

/** The rules about options: the broker is asked for what the app asks for, and loses nothing but what an option lets it lose. */
export class OptionOracle {
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #findings: Findings;
  readonly #producerOf: (id: number) => ProducerPlan | undefined;
  readonly #deletes: boolean;
  readonly #foreign: string | undefined;
  #madeByOthers = false;
  /** Messages that a codec could not read. */
  #unread = 0;

  /** `producerOf`: who sent a message, and how. */
  constructor(
    universe: Universe,
    plan: Plan,
    findings: Findings,
    producerOf: (id: number) => ProducerPlan | undefined,
  ) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
    this.#producerOf = producerOf;
    this.#deletes = plan.faults.some(({ kind }) => kind === 'queue-deleted');
    this.#foreign = plan.foreign && plan.queues[plan.foreign.queue]?.name;
  }

  /** Others have made the queue that is not the app's. */
  madeByOthers(): void {
    this.#madeByOthers = true;
  }

  /** A client declares a queue, or asks for it. */
  declared(queue: string, passive: boolean): void {
    if (passive && this.#plan.foreign?.by === 'passive') return;
    if (this.#madeByOthers && queue === this.#foreign)
      this.#findings.violate('what-is-not-declared-is-left-alone', queue);
  }

  /** The broker got a message. `copy`: one that the library sends. */
  published({ id }: Body, { transient = false, properties, exchange }: StoredMessage, copy: boolean): void {
    const producer = this.#producerOf(id);
    if (!producer) return;
    if (transient !== (producer.transient === true && !copy)) {
      this.#findings.violate(
        'persistence-is-kept',
        `message ${String(id)} is ${transient ? 'transient' : 'persistent'}`,
      );
    }
    if (copy) return;
    const { contentType, headers } = properties;
    if (producer.contract && exchange === '' && contentType !== CONTRACTED) {
      this.#findings.violate('a-contract-writes-its-messages', `message ${String(id)} has ${String(contentType)}`);
    }
    if (headers['x-stream-filter-value'] !== filterOf(producer, id)) {
      this.#findings.violate('a-filter-value-is-kept', `message ${String(id)}`);
    }
  }

  /** The broker hands a message to a consumer of the plan. */
  delivered(id: number, index: number, plan: ConsumerPlan, { options }: QueueConsumer): void {
    const { tag, noAck, exclusive } = options;
    const prefix = plan.tagPrefix === undefined ? TAG_PREFIX : `${plan.tagPrefix}-`;
    if (!tag.startsWith(prefix) || noAck !== (plan.noAck ?? false) || exclusive !== (plan.exclusive ?? false)) {
      const what = `consumer ${String(index)}: ${JSON.stringify({ tag, noAck, exclusive })}`;
      this.#findings.violate('a-consumer-keeps-its-options', what);
    }
    if (plan.topology && !this.#deletes && !this.#universe.broker.vhost.find(ownQueueOf(index))) {
      this.#findings.violate('a-topology-stands-before-deliveries', `consumer ${String(index)} gets ${String(id)}`);
    }
  }

  /** Is a message that is gone, and left no dead letter, one that its queue or its sender did not ask to keep? */
  mayLose({ id }: Body, { transient = false }: StoredMessage, queue: string): boolean {
    const spec = this.#plan.queues.find(({ name }) => name === queue);
    const temporary = spec?.autoDelete === true || spec?.expires !== undefined;
    if (temporary || transient) return true;
    if (!this.#deletes && spec)
      this.#findings.violate('nothing-is-lost-that-is-to-be-kept', `message ${String(id)} of ${queue}`);
    return false;
  }

  /** A codec of the app cannot read a message. */
  isUnreadable(): void {
    this.#unread++;
  }

  /** Everything had time to mend. */
  calm(): void {
    for (const spec of this.#plan.queues) {
      const queue = this.#universe.broker.vhost.find(spec.name);
      if (!queue) continue;
      const { arguments: args, autoDelete } = queue.declaration;
      const differs = ARGUMENTS.some(([name, argument]) => spec[name] !== args[argument]);
      if (!differs && autoDelete === (spec.autoDelete ?? false)) continue;
      const what = `${spec.name}: ${JSON.stringify({ autoDelete, ...args })}`;
      this.#findings.violate('a-queue-is-declared-as-it-is-asked-for', what);
    }
  }

  /** At the end. `undecodable`: what the client counts. */
  judge(undecodable: number): void {
    if (undecodable === this.#unread) return;
    const what = `the codecs failed ${String(this.#unread)} times, the client counts ${String(undecodable)}`;
    this.#findings.violate('what-cannot-be-read-is-counted', what);
  }
}
