import type { Message, QueueSpec } from 'instance-queue';
import { isDeepStrictEqual } from 'node:util';
import type { QueueConsumer } from '../../lib/testing/memory/queue-consumer';
import type { StoredMessage } from '../../lib/testing/memory/stored-message';
import type { Universe } from '../../lib/testing/simulation/universe';
import { CONTRACTED, EXCHANGE, carriedBy, type Body } from './body';
import type { Findings } from './findings';
import type { OptionOracle } from './option-oracle';
import { isFaultless, priorityOf, type Plan, type ProducerPlan } from './plan';

/** The argument by which the broker's log tells the consumers of the app apart. */
export const CONSUMER = 'x-app-consumer';

/** The messages of one queue that no consumer has had yet. */
interface Waiting {
  readonly spec: QueueSpec;
  /** Per rank, in the order in which they came. */
  readonly ranks: Map<number, Set<StoredMessage>>;
  /** The latest first delivery went to one of the low rank, past one of the high rank. */
  passed: boolean;
}

/** The rules about deliveries: which message goes first, to which consumer, and in which order the app sees them. */
export class DeliveryOracle {
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #findings: Findings;
  readonly #options: OptionOracle;
  readonly #producerOf: (id: number) => ProducerPlan | undefined;
  /** The queues to which messages with priorities are sent. */
  readonly #queues = new Map<string, Waiting>();
  /** Those that have left the queue for a consumer, or for good. */
  readonly #seen = new WeakSet<StoredMessage>();
  /** Per consumer: what the broker has delivered to it, and the app has not seen. */
  readonly #onTheirWay = new Map<number, number[]>();
  /** Messages that the app has seen and does not settle. */
  #unsettled = 0;

  /** `producerOf`: who sent a message, and how. */
  constructor(
    universe: Universe,
    plan: Plan,
    findings: Findings,
    options: OptionOracle,
    producerOf: (id: number) => ProducerPlan | undefined,
  ) {
    this.#universe = universe;
    this.#plan = plan;
    this.#findings = findings;
    this.#options = options;
    this.#producerOf = producerOf;
    // What waits in a queue that is deleted is gone, and no log tells so.
    if (plan.faults.some(({ kind }) => kind === 'queue-deleted')) return;
    for (const { queue, priorities } of plan.producers) {
      const spec = plan.queues[queue];
      const temporary = spec?.autoDelete === true || spec?.expires !== undefined;
      if (priorities && spec && spec.type !== 'stream' && !temporary) {
        this.#queues.set(spec.name, { spec, ranks: new Map(), passed: false });
      }
    }
  }

  get unsettled(): number {
    return this.#unsettled;
  }

  /** The broker got a message, or a copy of one that is to be retried. */
  published({ id }: Body, message: StoredMessage, outcome: string, copy: boolean): void {
    const { exchange, routingKey, properties } = message;
    const priority = priorityOf(this.#producerOf(id), id);
    if (properties.priority !== priority) {
      const what = `message ${String(id)} was sent with ${String(priority)}, the broker got ${String(properties.priority)}`;
      this.#findings.violate('a-priority-is-kept', what);
    }
    if (copy || outcome !== 'taken' || this.#seen.has(message)) return;
    const queue = exchange === '' ? routingKey : exchange === EXCHANGE ? routingKey.replace(/\.x$/, '') : '';
    const waiting = this.#queues.get(queue);
    if (!waiting) return;
    const rank = this.#rankIn(waiting.spec, priority);
    const same = waiting.ranks.get(rank);
    if (same) same.add(message);
    else waiting.ranks.set(rank, new Set([message]));
  }

  /** A message left its queue for good. */
  died(message: StoredMessage, queue: string): void {
    this.#seen.add(message);
    const waiting = this.#queues.get(queue);
    if (!waiting) return;
    // One that expires counts among the two of the high rank.
    waiting.passed = false;
    for (const same of waiting.ranks.values()) same.delete(message);
  }

  /** The broker hands a message to a consumer. */
  delivered({ id }: Body, message: StoredMessage, queue: string, consumer: QueueConsumer | undefined): void {
    const spec = this.#plan.queues.find(({ name }) => name === queue);
    if (!spec || spec.type === 'stream') return;
    if (consumer) this.#judgeConsumer(id, spec, consumer);
    const waiting = this.#queues.get(queue);
    if (waiting && !this.#seen.has(message)) this.#judgeRank(id, message, waiting);
    this.#seen.add(message);
  }

  /** Higher ranks go first, and one rank keeps its order. */
  #judgeRank(id: number, message: StoredMessage, waiting: Waiting): void {
    const { spec, ranks } = waiting;
    const rank = this.#rankIn(spec, priorityOf(this.#producerOf(id), id));
    const same = ranks.get(rank);
    const [first] = same ?? [];
    const knows = same?.delete(message) ?? false;
    if (knows && first !== message) {
      this.#findings.violate('one-priority-keeps-its-order', `message ${String(id)} of ${spec.name} overtakes others`);
    }
    const passes = [...ranks].some(([other, { size }]) => other > rank && size > 0);
    // From 4.0 to 4.2 a quorum queue serves one of the low rank after two of the high one.
    if (passes && (waiting.passed || !(spec.type === 'quorum' && this.#plan.version.startsWith('4.0')))) {
      const what = `message ${String(id)} of ${spec.name} goes before one of a higher priority that waits`;
      this.#findings.violate('a-higher-priority-goes-first', what);
    }
    waiting.passed = passes;
  }

  /** How the queue ranks a priority. */
  #rankIn({ type, maxPriority = 0 }: QueueSpec, priority: number | undefined): number {
    if (type !== 'quorum') return Math.min(priority ?? 0, maxPriority);
    if (this.#plan.version.startsWith('4.3')) return priority ?? 4;
    return this.#plan.version.startsWith('4.0') && (priority ?? 4) > 4 ? 1 : 0;
  }

  /** Consumers of a higher priority are served first, none beyond its prefetch. */
  #judgeConsumer(id: number, { name, singleActiveConsumer }: QueueSpec, consumer: QueueConsumer): void {
    const index = consumer.options.arguments[CONSUMER];
    const plan = typeof index === 'number' ? this.#plan.consumers[index] : undefined;
    if (!plan || typeof index !== 'number') {
      this.#findings.violate('a-consumer-keeps-its-arguments', `${name} has a consumer without them`);
      return;
    }
    const onTheirWay = this.#onTheirWay.get(index);
    if (onTheirWay) onTheirWay.push(id);
    else this.#onTheirWay.set(index, [id]);
    if (consumer.unsettled > plan.prefetch) {
      const what = `consumer ${String(index)} has ${String(consumer.unsettled)} of ${String(plan.prefetch)}`;
      this.#findings.violate('a-consumer-keeps-its-prefetch', what);
    }
    this.#options.delivered(id, index, plan, consumer);
    if (singleActiveConsumer) return;
    for (const other of this.#universe.broker.vhost.find(name)?.consumers ?? []) {
      const better = this.#plan.consumers[Number(other.options.arguments[CONSUMER])];
      if (!better || (better.priority ?? 0) <= (plan.priority ?? 0) || other.unsettled >= better.prefetch) continue;
      const what = `message ${String(id)} goes to consumer ${String(index)}, and one of a higher priority is free`;
      this.#findings.violate('a-consumer-of-higher-priority-goes-first', what);
    }
  }

  /** The app sees a delivery. */
  received(consumer: number, message: Message<Body>): void {
    const { id, readBy } = message.body;
    this.#judgeContents(message);
    const plan = this.#plan.consumers[consumer];
    if (plan?.noAck) this.#unsettled++;
    if (readBy !== (plan?.contract && CONTRACTED)) {
      this.#findings.violate('a-contract-reads-its-messages', `message ${String(id)}, read by ${String(readBy)}`);
    }
    const onTheirWay = this.#onTheirWay.get(consumer) ?? [];
    const at = onTheirWay.indexOf(id);
    if (at === -1) {
      const what = `consumer ${String(consumer)} gets ${String(id)}, on their way are ${onTheirWay.join()}`;
      this.#findings.violate('deliveries-come-once-and-in-order', what);
    }
    if (at > 0 && this.#getsAll(consumer)) {
      const what = `consumer ${String(consumer)} gets ${String(id)}, and not ${onTheirWay.slice(0, at).join()}`;
      this.#findings.violate('what-is-sent-without-acks-arrives', what);
    }
    // Those in front of it were lost with their channel, or came when the consumer had ended.
    onTheirWay.splice(0, at + 1);
  }

  /** Everything had time to arrive: without acks nothing is delivered again. */
  calm(): void {
    for (const [index, onTheirWay] of this.#onTheirWay) {
      if (onTheirWay.length === 0 || !this.#getsAll(index)) continue;
      this.#findings.violate('what-is-sent-without-acks-arrives', `consumer ${String(index)}: ${onTheirWay.join()}`);
    }
  }

  /** Does a consumer see each message that the broker has handed to it and forgotten? */
  #getsAll(consumer: number): boolean {
    const { noAck, pauses = [], ends } = this.#plan.consumers[consumer] ?? {};
    return noAck === true && !ends && pauses.length === 0 && isFaultless(this.#plan);
  }

  /** A message arrives as it was sent, whichever queues it was in meanwhile. */
  #judgeContents({ body, exchange, routingKey, properties }: Message<Body>): void {
    const producer = this.#producerOf(body.id);
    if (!producer) return;
    const queue = this.#plan.queues[producer.queue]?.name ?? '';
    const route = producer.through === 'queue' ? ['', queue] : [EXCHANGE, `${queue}.x`];
    if (exchange !== route[0] || routingKey !== route[1]) {
      const what = `message ${String(body.id)}, sent to ${route.join('/')}, came from ${exchange}/${routingKey}`;
      this.#findings.violate('a-message-arrives-as-it-was-sent', what);
    }
    if (!producer.carries) return;
    const { type, correlationId, headers = {} } = properties;
    const { type: t, correlationId: c, headers: h } = carriedBy(body);
    const same = type === t && correlationId === c && headers['x-own'] === true;
    if (!same || !isDeepStrictEqual(headers['mine'], h.mine)) {
      const what = `message ${String(body.id)}: ${JSON.stringify({ type, correlationId, headers })}`;
      this.#findings.violate('a-message-arrives-as-it-was-sent', what);
    }
  }
}
