import {
  batch,
  handle,
  publish,
  InstanceQueueError,
  PublishError,
  type Delivery,
  type InstanceQueue,
  type Message,
  type OutboundMessage,
  type Topology,
  type Worker,
} from 'instance-queue';
import { concatMap, firstValueFrom, Observable, of, timer } from 'rxjs';
import { Random } from '../../lib/testing/simulation/random';
import type { Universe } from '../../lib/testing/simulation/universe';
import type { Body, Oracle } from './oracle';
import type { ConsumerPlan, Plan, ProducerPlan, RequesterPlan } from './plan';

const EXCHANGE = 'events';
const REQUESTS = 'requests';

/** A service that a plan describes: it runs on the library as an app would. */
export class SimulatedApp {
  readonly client: InstanceQueue;
  readonly #universe: Universe;
  readonly #plan: Plan;
  readonly #oracle: Oracle;
  readonly #topology: Topology;
  /** How often each message was worked on. */
  readonly #runs = new Map<number, number>();
  readonly #underWay = new Set<Promise<unknown>>();
  #id = 0;
  readonly #running = new AbortController();

  constructor(universe: Universe, plan: Plan, oracle: Oracle) {
    this.#universe = universe;
    this.#plan = plan;
    this.#oracle = oracle;
    this.#topology = {
      exchanges: [{ name: EXCHANGE, type: 'topic' }],
      queues: [...plan.queues, { name: 'dead' }],
      bindings: plan.queues.map(({ name }) => ({ exchange: EXCHANGE, queue: name, routingKey: `${name}.#` })),
    };
    this.client = universe.connect({
      topology: this.#topology,
      reconnect: { min: 50, max: 2000 },
      reopen: { min: 50, max: 2000 },
      drainTimeout: plan.drainTimeout,
      logger: 'silent',
    });
    oracle.watch(this.client);
  }

  /** Starts everything that the plan has; resolves when every producer and requester is done. */
  async run(): Promise<void> {
    const { producers, consumers, requesters } = this.#plan;
    consumers.forEach((consumer, i) => {
      this.#at(consumer.at, () => {
        this.#consume(consumer, i);
      });
    });
    await Promise.all([
      ...producers.map((producer, i) => this.#produce(producer, i)),
      ...requesters.map((requester, i) => this.#request(requester, 100 + i)),
    ]);
  }

  /** Nothing is started any more. */
  end(): void {
    this.#running.abort();
  }

  /** Resolves when each send has settled. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #over(): boolean {
    return this.#running.signal.aborted;
  }

  #at(ms: number, task: () => void): void {
    void this.#universe.sleep(ms).then(() => {
      if (!this.#over()) task();
    });
  }

  async #produce(plan: ProducerPlan, index: number): Promise<void> {
    await this.#universe.sleep(plan.at);
    if (this.#over()) return;
    const { onUnknown, onNack, overflow, limit, maxInFlight, timeout } = plan;
    const producer = this.client.producer<Body>({
      onUnknown,
      onNack,
      maxInFlight,
      timeout,
      outbox: { overflow, limit },
    });
    this.#oracle.watchProducer(producer, plan);
    if (plan.closeAt !== undefined) {
      this.#at(plan.closeAt, () => {
        void producer.close();
      });
    }
    const queue = this.#plan.queues[plan.queue]?.name ?? 'q0';
    const chance = new Random(this.#plan.seed * 31 + index);
    for (let i = 0; i < plan.messages && !this.#over(); i++) {
      const body = this.#padded({ id: ++this.#id, producer: index, key: chance.integer(0, 5) });
      const route = plan.through === 'queue' ? { queue } : { exchange: EXCHANGE, routingKey: `${queue}.x` };
      const message: OutboundMessage<Body> = { ...route, body };
      this.#oracle.sends(body, plan);
      const abort = chance.integer(1, 100) <= plan.aborts ? new AbortController() : undefined;
      if (abort) {
        setTimeout(
          () => {
            abort.abort();
          },
          chance.integer(0, 200),
        );
      }
      const options = abort ? { signal: abort.signal } : {};
      const sending =
        plan.by === 'send' || abort
          ? producer.send(message, options)
          : firstValueFrom(of(message).pipe(publish(producer, options)));
      this.#watch(body, sending);
      if (plan.every > 0) await this.#universe.sleep(plan.every);
    }
    await this.settled();
  }

  #padded(body: Body): Body {
    const { padding = [] } = this.#plan.socket ?? {};
    const bytes = padding[body.id % padding.length] ?? 0;
    return bytes > 0 ? { ...body, padding: 'x'.repeat(bytes) } : body;
  }

  #watch(body: Body, sending: Promise<{ messageId: string; attempts: number; epoch: number }>): void {
    const settling = sending.then(
      (confirmation) => {
        this.#oracle.sent(body, confirmation);
      },
      (error: unknown) => {
        if (error instanceof PublishError) this.#oracle.sent(body, error);
        else this.#oracle.violate('errors-are-for-people', `send rejected with ${String(error)}`);
      },
    );
    this.#underWay.add(settling);
    void settling.then(() => this.#underWay.delete(settling));
  }

  #consume(plan: ConsumerPlan, index: number): void {
    const queue = this.#plan.queues[plan.queue]?.name ?? 'q0';
    const { prefetch, works, ends, pauses } = plan;
    const deliveries$ = this.client.consume<Body>({
      queue,
      prefetch,
      ...(pauses.length > 0 && { pause: this.#pause(pauses) }),
      ...(ends?.by === 'until' && { until: timer(ends.at) }),
    });
    const done = `consumer ${String(index)}`;
    const observer = {
      error: (error: unknown) => {
        this.#oracle.note(`app: ${done} errors: ${String(error)}`);
        if (!this.#mayStop(error)) this.#oracle.violate('a-consumer-stays', `${done}: ${String(error)}`);
      },
      complete: () => {
        this.#oracle.note(`app: ${done} completes`);
      },
    };
    const subscription =
      works === 'handle'
        ? deliveries$.pipe(handle(this.#worker(plan, index), this.#handling(plan))).subscribe({
            ...observer,
            next: ({ sent, settlement, message, error }) => {
              this.#oracle.note(
                `app: ${done} handled ${String(message.body.id)}: ${settlement}, sent=${String(sent)}${error instanceof Error ? `, ${error.message}` : ''}`,
              );
            },
          })
        : works === 'batch'
          ? deliveries$
              .pipe(
                batch({ size: 5, within: 50 }),
                concatMap(async (all) => {
                  await this.#universe.sleep(1 + (plan.takes % 50));
                  for (const one of all.deliveries)
                    if (one.settled === undefined) this.#oracle.decides(one.body, 'done');
                  all.ack();
                }),
              )
              .subscribe(observer)
          : deliveries$.subscribe({
              ...observer,
              next: (delivery) => {
                this.#settleByHand(delivery, plan);
              },
            });
    if (ends?.by === 'unsubscribe') {
      this.#at(ends.at, () => {
        subscription.unsubscribe();
      });
    }
  }

  /** May a consumer error with this? When the client closes, or a first attach is refused for good. */
  #mayStop(error: unknown): boolean {
    if (!(error instanceof InstanceQueueError)) return false;
    return error.code === 'CONNECTION_CLOSED' || (error.replyCode !== undefined && !error.retryable);
  }

  #pause(pauses: ConsumerPlan['pauses']): Observable<boolean> {
    return new Observable((subscriber) => {
      const timers = pauses.flatMap(({ at, ms }) => [
        timer(at).subscribe(() => {
          subscriber.next(true);
        }),
        timer(at + ms).subscribe(() => {
          subscriber.next(false);
        }),
      ]);
      return () => {
        for (const one of timers) one.unsubscribe();
      };
    });
  }

  #handling({ concurrency, keys, onError, timeout }: ConsumerPlan) {
    return {
      ...(concurrency !== undefined && { concurrency }),
      ...(keys !== undefined && { key: ({ body }: Message<Body>) => body.key % keys }),
      ...(timeout !== undefined && { timeout }),
      onError: onError === 'retry' ? this.client.retry<Body>({ attempts: 3, delay: [100, 1000] }) : onError,
    };
  }

  #worker({ fails, hangs, takes, keys }: ConsumerPlan, index: number): Worker<Body, void> {
    const keyed = keys === 1;
    return async (message, { signal }) => {
      this.#oracle.starts(index, message, keyed);
      let counts = true;
      signal.addEventListener('abort', () => {
        if (!counts) return;
        counts = false;
        this.#oracle.ends(index, message, keyed, 'aborted');
        // A timeout is a failure that the policy decides about.
        this.#oracle.decides(message.body, 'failed');
      });
      const { chance, run } = this.#chanceOf(message.body, index);
      const hanging = chance.integer(1, 100) <= hangs;
      const ms = hanging ? 15_000 : chance.integer(0, takes);
      if (ms > 0) await this.#universe.sleep(ms);
      // What fails for ever would never come to rest.
      const failing = chance.integer(1, 100) <= fails && run < 6;
      if (!signal.aborted) {
        counts = false;
        this.#oracle.ends(index, message, keyed, failing ? 'failed' : 'done');
      }
      if (failing) throw new Error('simulated failure');
    };
  }

  #settleByHand(delivery: Delivery<Body>, { fails, takes }: ConsumerPlan): void {
    const { chance, run } = this.#chanceOf(delivery.body, 7);
    void this.#universe.sleep(chance.integer(0, takes)).then(() => {
      const failing = chance.integer(1, 100) <= fails && run < 6;
      const open = delivery.settled === undefined;
      const how = failing ? chance.pick(['requeue', 'release', 'reject']) : 'ack';
      if (open) this.#oracle.decides(delivery.body, how === 'ack' ? 'done' : 'failed');
      const accepted = delivery[how]();
      if (accepted && !open) this.#oracle.violate('a-delivery-is-single-shot', 'settled a second time');
      if (chance.chance(0.2) && delivery.ack()) {
        this.#oracle.violate('a-delivery-is-single-shot', 'a second settlement was accepted');
      }
    });
  }

  /** What happens to a message depends on the message and how often it was tried, and on nothing else. */
  #chanceOf({ id }: Body, salt: number): { readonly chance: Random; readonly run: number } {
    const run = 1 + (this.#runs.get(id) ?? 0);
    this.#runs.set(id, run);
    return { chance: new Random(this.#plan.seed * 7919 + id * 131 + run * 17 + salt), run };
  }

  async #request(plan: RequesterPlan, index: number): Promise<void> {
    const { takes, fails, idempotent, timeout } = plan;
    await this.#universe.sleep(plan.at);
    if (this.#over()) return;
    const answered = new Map<number, number>();
    this.client
      .respond<Body>({ queue: REQUESTS }, async (message) => {
        const { chance } = this.#chanceOf(message.body, 3);
        await this.#universe.sleep(chance.integer(0, takes) + 1);
        const failing = chance.integer(1, 100) <= fails;
        answered.set(message.body.id, 1 + (answered.get(message.body.id) ?? 0));
        this.#oracle.decides(message.body, failing ? 'failed' : 'done');
        if (failing) throw new Error('simulated failure');
        return { answer: message.body.id };
      })
      .subscribe({
        error: (error: unknown) => {
          if (!this.#mayStop(error)) this.#oracle.violate('a-consumer-stays', `responder: ${String(error)}`);
        },
      });
    const asking: Promise<void>[] = [];
    for (let i = 0; i < plan.requests && !this.#over(); i++) {
      const body: Body = { id: ++this.#id, producer: index, key: 0 };
      const asked = this.client.request<{ answer: number }>({ queue: REQUESTS, body }, { idempotent, timeout }).then(
        (reply) => {
          this.#oracle.note(`app: ${String(body.id)} is answered`);
          if (reply.body.answer !== body.id) this.#oracle.violate('replies-belong-to-their-request', String(body.id));
          if (!answered.has(body.id)) this.#oracle.violate('a-reply-comes-from-work', String(body.id));
        },
        (error: unknown) => {
          this.#oracle.note(`app: request ${String(body.id)} rejects: ${String(error)}`);
          const tells = error instanceof PublishError;
          if (!tells) this.#oracle.violate('errors-are-for-people', `request rejected with ${String(error)}`);
          else if (!error.maybeDelivered && answered.has(body.id) && error.code !== 'REPLY_ERROR') {
            this.#oracle.violate(
              'maybeDelivered-tells-the-truth',
              `request ${String(body.id)}: ${error.code}, and it was worked on`,
            );
          }
        },
      );
      asking.push(asked);
      this.#underWay.add(asked);
      void asked.then(() => this.#underWay.delete(asked));
      if (plan.every > 0) await this.#universe.sleep(plan.every);
    }
    await Promise.all(asking);
  }
}
