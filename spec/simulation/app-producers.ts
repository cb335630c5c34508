import {
  publish,
  PublishError,
  SendAllError,
  type Confirmation,
  type OutboundMessage,
  type Producer,
} from 'instance-queue';
import { firstValueFrom, of } from 'rxjs';
import { Random } from '../../lib/testing/simulation/random';
import { contractOf } from './app-queues';
import type { AppRun } from './app-run';
import { EXCHANGE, carriedBy, type Body } from './body';
import { delayOf, filterOf, priorityOf, type ProducerPlan } from './plan';

/** No queue is bound for it. */
const NOWHERE = 'nowhere';

/** Sends what a producer of the plan sends; resolves when all of it has settled. */
export async function produce(app: AppRun, plan: ProducerPlan, index: number): Promise<void> {
  const { universe, oracle, client } = app;
  await universe.sleep(plan.at);
  if (app.isOver()) return;
  const { onUnknown, onNack, overflow, limit, bytes, maxInFlight, timeout, delays, transient } = plan;
  const isForeign = app.plan.foreign?.queue === plan.queue;
  const producer = client.producer<Body>({
    onUnknown,
    onNack,
    maxInFlight,
    timeout,
    ...(delays && { delayIn: delays.in }),
    ...(transient && { persistent: false }),
    ...(isForeign && { declare: false }),
    outbox: { overflow, limit, ...(bytes !== undefined && { bytes }) },
  });
  oracle.states.watchProducer(producer, plan);
  oracle.sends.watchProducer(producer, plan);
  if (plan.closeAt !== undefined) {
    app.at(plan.closeAt, () => {
      void producer.close();
    });
  }
  await new AppProducer(app, plan, index, producer).run();
  await app.settled();
}

/** One producer of the plan. */
class AppProducer {
  readonly #app: AppRun;
  readonly #plan: ProducerPlan;
  readonly #index: number;
  readonly #producer: Producer<Body>;
  readonly #chance: Random;
  readonly #rare: Random;
  #left: number;

  constructor(app: AppRun, plan: ProducerPlan, index: number, producer: Producer<Body>) {
    this.#app = app;
    this.#plan = plan;
    this.#index = index;
    this.#producer = producer;
    this.#chance = new Random(app.plan.seed * 31 + index);
    this.#rare = new Random(app.plan.seed * 37 + index);
    this.#left = plan.messages;
  }

  async run(): Promise<void> {
    const { every, by, burst = 1 } = this.#plan;
    if (by === 'publish-all') {
      this.#publishAll();
      return;
    }
    while (this.#left > 0 && !this.#app.isOver()) {
      if (by === 'send-all') this.#sendAll();
      else for (let i = 0; i < burst && this.#left > 0; i++) this.#sendOne();
      if (every > 0) await this.#app.universe.sleep(every);
    }
  }

  #sendOne(): void {
    const { body, message } = this.#next();
    const options = this.#options();
    const sending =
      this.#plan.by === 'send' || options.signal
        ? this.#send(message, options)
        : firstValueFrom(of(message).pipe(publish(this.#producer, options)));
    const { sends, findings } = this.#app.oracle;
    this.#app.began(
      sending.then(
        (confirmation) => {
          sends.sent(body, confirmation);
        },
        (error: unknown) => {
          if (error instanceof PublishError) sends.sent(body, error);
          else findings.violate('errors-are-for-people', `send rejected with ${String(error)}`);
        },
      ),
    );
  }

  #send(message: OutboundMessage<Body>, options: { readonly signal?: AbortSignal }): Promise<Confirmation> {
    const spec = this.#app.plan.queues[this.#plan.queue];
    if (!this.#plan.contract || !spec || message.queue === undefined) return this.#producer.send(message, options);
    const { queue, exchange, routingKey, ...rest } = message;
    return this.#producer.send({ ...rest, queue: contractOf(spec) }, options);
  }

  #sendAll(): void {
    const { sends, findings } = this.#app.oracle;
    const all = Array.from({ length: Math.min(this.#left, this.#rare.integer(1, 8)) }, () => this.#next());
    const settle = (outcomes: readonly (Confirmation | PublishError | undefined)[]): void => {
      all.forEach(({ body, message }, i) => {
        const outcome = outcomes[i];
        if (outcome && outcome.messageId === message.messageId) sends.sent(body, outcome);
        else findings.violate('a-batch-tells-of-each', `message ${String(body.id)}: ${String(outcome?.messageId)}`);
      });
    };
    const sending = this.#producer.sendAll(
      all.map(({ message }) => message),
      this.#options(),
    );
    this.#app.began(
      sending.then(settle, (error: unknown) => {
        if (error instanceof SendAllError) {
          settle(error.outcomes);
          if (error.failures.length === 0) findings.violate('a-batch-tells-of-each', 'it failed without a failure');
        } else if (error instanceof PublishError) {
          // Refused before anything is sent.
          for (const { body } of all) sends.refused(body, error);
        } else findings.violate('errors-are-for-people', `sendAll rejected with ${String(error)}`);
      }),
    );
  }

  /** Until the first message that fails; the others under way settle unseen. */
  #publishAll(): void {
    const { sends, findings } = this.#app.oracle;
    const concurrency = this.#rare.pick([1, 3, 1000]);
    const open = new Map<string, Body>();
    let late: number | undefined;
    const pull = (): OutboundMessage<Body> => {
      const { body, message } = this.#next();
      if (late !== undefined) {
        sends.unseen(body);
        // It may have been asked for before.
        if (++late > 1) findings.violate('publish-takes-nothing-after-its-end', `message ${String(body.id)}`);
        return message;
      }
      open.set(message.messageId ?? '', body);
      if (open.size > concurrency) {
        findings.violate(
          'publish-takes-no-more-than-its-concurrency',
          `${String(open.size)} of ${String(concurrency)}`,
        );
      }
      return message;
    };
    const messages = this.#plan.every > 0 ? this.#slowly(pull) : this.#atOnce(pull);
    const publishing = new Promise<void>((resolve) => {
      publish(this.#producer, messages, { ...this.#options(), concurrency }).subscribe({
        next: (confirmation) => {
          const body = open.get(confirmation.messageId);
          open.delete(confirmation.messageId);
          if (body) sends.sent(body, confirmation);
          else findings.violate('a-confirmation-belongs-to-a-message', confirmation.messageId);
        },
        error: (error: unknown) => {
          if (!(error instanceof PublishError)) {
            findings.violate('errors-are-for-people', `publish errors with ${String(error)}`);
            return;
          }
          const body = open.get(error.messageId);
          open.delete(error.messageId);
          if (body) sends.sent(body, error);
          for (const unseen of open.values()) sends.unseen(unseen);
          late = 0;
          resolve();
        },
        complete: () => {
          if (open.size > 0) findings.violate('publish-completes-with-its-last', `${String(open.size)} are open`);
          resolve();
        },
      });
    });
    this.#app.began(publishing);
  }

  *#atOnce(pull: () => OutboundMessage<Body>): Generator<OutboundMessage<Body>> {
    while (this.#left > 0 && !this.#app.isOver()) yield pull();
  }
  async *#slowly(pull: () => OutboundMessage<Body>): AsyncGenerator<OutboundMessage<Body>> {
    while (this.#left > 0 && !this.#app.isOver()) {
      yield pull();
      await this.#app.universe.sleep(this.#plan.every);
    }
  }

  #next(): { readonly body: Body; readonly message: OutboundMessage<Body> } {
    this.#left--;
    const { queue: index, through, by, nowhere = 0, expires, delays, carries } = this.#plan;
    const queue = this.#app.queueAt(index);
    const body = this.#app.body(this.#index, this.#chance.integer(0, 5));
    const priority = priorityOf(this.#plan, body.id);
    const streamFilter = filterOf(this.#plan, body.id);
    const delay = delayOf(this.#plan, body.id);
    const lost = this.#rare.integer(1, 100) <= nowhere ? (body.id % 2 === 0 ? 'dropped' : 'returned') : undefined;
    const route = through === 'queue' ? { queue } : { exchange: EXCHANGE, routingKey: `${queue}.x` };
    const message: OutboundMessage<Body> = {
      ...(lost ? { exchange: EXCHANGE, routingKey: NOWHERE } : route),
      ...(lost === 'dropped' && { mandatory: false }),
      ...(expires !== undefined && { expiration: expires }),
      ...(priority !== undefined && { priority }),
      ...(delay !== undefined && (delays?.by === 'at' ? { at: new Date(Date.now() + delay) } : { delay })),
      ...(carries && carriedBy(body)),
      ...(streamFilter !== undefined && { streamFilter }),
      ...(by.endsWith('-all') && { messageId: `m${String(body.id)}` }),
      body,
    };
    this.#app.oracle.sends.sends(body, this.#plan, lost);
    return { body, message };
  }

  /** Some sends are aborted while they are under way. */
  #options(): { readonly signal?: AbortSignal } {
    if (this.#chance.integer(1, 100) > this.#plan.aborts) return {};
    const abort = new AbortController();
    setTimeout(
      () => {
        abort.abort();
      },
      this.#chance.integer(0, 200),
    );
    return { signal: abort.signal };
  }
}
