import { batch, handle, InstanceQueueError, type Delivery, type Message, type Worker } from 'instance-queue';
import { concatMap, map, merge, Observable, of, share, Subscription, tap, timer } from 'rxjs';
import { queueFor, rarelyGiven } from './app-queues';
import type { AppRun } from './app-run';
import type { Body } from './body';
import { CONSUMER } from './delivery-oracle';
import type { ConsumerPlan } from './plan';

/** Why work fails. */
const FAILURE = new Error('simulated failure');
/** ms after which a consumer begins anew that has failed. */
const AGAIN_AFTER = 20;
/** ms in which a consumer that was unsubscribed from releases what it has not started. */
const RELEASED_WITHIN = 10;

/** One consumer of the plan: what it does with its deliveries, when it pauses and when it ends. */
export class AppConsumer {
  readonly #app: AppRun;
  readonly #plan: ConsumerPlan;
  readonly #index: number;
  /** What it was handed out, and what of that the app has seen. */
  readonly #received: Delivery<Body>[] = [];
  readonly #started = new Set<object>();
  #limit: number;
  /** What it works on now, since it began. */
  #running = new Set<object>();

  constructor(app: AppRun, plan: ConsumerPlan, index: number) {
    this.#app = app;
    this.#plan = plan;
    this.#index = index;
    this.#limit = plan.concurrency ?? Infinity;
  }

  get #name(): string {
    return `consumer ${String(this.#index)}`;
  }

  start(): void {
    const app = this.#app;
    const { prefetch, ends, pauses, shared, consumerTimeout, priority, noAck, unreadable } = this.#plan;
    const options = {
      ...queueFor(app, this.#plan),
      ...rarelyGiven(app, this.#plan, this.#index),
      arguments: { [CONSUMER]: this.#index },
      ...(priority !== undefined && { priority }),
      ...(pauses.length > 0 && { pause: paused(pauses) }),
      ...(ends?.by === 'until' && { until: timer(ends.at) }),
    };
    if (noAck) {
      this.#withoutAcks(app.client.consume<Body>({ ...options, noAck }));
      return;
    }
    const deliveries$ = app.client.consume<Body>({
      ...options,
      prefetch,
      ...(consumerTimeout !== undefined && { consumerTimeout }),
      ...(unreadable && { onUndecodable: unreadable.policy }),
    });
    const all$ = deliveries$.pipe(share());
    const received = (delivery: Delivery<Body>): void => {
      app.oracle.deliveries.received(this.#index, delivery);
      this.#received.push(delivery);
    };
    const subscription = this.#again(all$.pipe(tap(received)));
    if (ends?.by !== 'unsubscribe') return;
    const other = shared === undefined ? undefined : all$.subscribe({ error: () => undefined });
    app.at(ends.at, () => {
      app.at(shared ?? 0, () => other?.unsubscribe());
      subscription.unsubscribe();
      if (this.#plan.works !== 'by-hand') app.at(RELEASED_WITHIN, this.#checkReleased.bind(this));
    });
  }

  /** It sees messages, and settles none. */
  #withoutAcks(messages$: Observable<Message<Body>>): void {
    const { oracle } = this.#app;
    const { ends } = this.#plan;
    const subscription = messages$.subscribe({
      next: (message) => {
        oracle.findings.note(`app: ${this.#name} gets ${String(message.body.id)}`);
        oracle.deliveries.received(this.#index, message);
      },
      error: (error: unknown) => {
        if (!this.#app.mayStop(error)) oracle.findings.violate('a-consumer-stays', `${this.#name}: ${String(error)}`);
      },
    });
    if (ends?.by !== 'unsubscribe') return;
    this.#app.at(ends.at, () => {
      subscription.unsubscribe();
    });
  }

  /** Subscribes, and again after each failure that ends the stream, as `onError: 'fail'` does. */
  #again(deliveries$: Observable<Delivery<Body>>): Subscription {
    const all = new Subscription();
    const subscribe = (): void => {
      if (all.closed) return;
      const failed = (): void => {
        this.#running = new Set();
        this.#app.at(AGAIN_AFTER, subscribe);
      };
      all.add(this.#subscribe(deliveries$, failed));
    };
    subscribe();
    return all;
  }

  #checkReleased(): void {
    const kept = this.#received.filter((one) => one.settled === undefined && !this.#started.has(one));
    if (kept.length === 0) return;
    const what = `${this.#name} keeps ${kept.map(({ body }) => String(body.id)).join()}`;
    this.#app.oracle.findings.violate('what-is-not-started-is-released', what);
  }

  #subscribe(deliveries$: Observable<Delivery<Body>>, failed: () => void): Subscription {
    const { findings } = this.#app.oracle;
    const observer = {
      error: (error: unknown) => {
        findings.note(`app: ${this.#name} errors: ${String(error)}`);
        const isFailure = error === FAILURE || (error instanceof InstanceQueueError && error.code === 'WORK_TIMEOUT');
        if (this.#plan.onError === 'fail' && isFailure) failed();
        else if (!this.#app.mayStop(error)) findings.violate('a-consumer-stays', `${this.#name}: ${String(error)}`);
      },
      complete: () => {
        findings.note(`app: ${this.#name} completes`);
      },
    };
    switch (this.#plan.works) {
      case 'handle':
        return deliveries$.pipe(handle(this.#worker(), this.#handling())).subscribe({
          ...observer,
          next: ({ sent, settlement, message, error }) => {
            const why = error instanceof Error ? `, ${error.message}` : '';
            findings.note(
              `app: ${this.#name} handled ${String(message.body.id)}: ${settlement}, sent=${String(sent)}${why}`,
            );
          },
        });
      case 'batch':
        return deliveries$
          .pipe(
            batch({ size: 5, within: 50 }),
            tap(({ deliveries }) => {
              for (const one of deliveries) this.#started.add(one);
            }),
            concatMap(async (all) => {
              await this.#app.universe.sleep(1 + (this.#plan.takes % 50));
              for (const one of all.deliveries) if (one.settled === undefined) this.#decides(one.body, 'done');
              all.ack();
            }),
          )
          .subscribe(observer);
      case 'by-hand':
        return deliveries$.subscribe({
          ...observer,
          next: (delivery) => {
            this.#settleByHand(delivery);
          },
        });
    }
  }

  #decides(body: Body, how: 'done' | 'failed'): void {
    this.#app.oracle.work.decides(body, how);
  }

  #handling() {
    const { concurrency, changes, keys, onError, timeout, retry } = this.#plan;
    const { client } = this.#app;
    return {
      ...(changes && { concurrency: this.#changing(concurrency ?? 1, changes) }),
      ...(concurrency !== undefined && !changes && { concurrency }),
      ...(keys !== undefined && { key: ({ body }: Message<Body>) => body.key % keys }),
      ...(timeout !== undefined && { timeout }),
      onError: onError === 'retry' ? client.retry<Body>(retry ?? { attempts: 3, delay: [100, 1000] }) : onError,
    };
  }

  #changing(first: number, changes: NonNullable<ConsumerPlan['changes']>): Observable<number> {
    const later = changes.map(({ at, to }) => timer(at).pipe(map(() => to)));
    return merge(of(first), ...later).pipe(tap((limit) => (this.#limit = limit)));
  }

  #worker(): Worker<Body, void> {
    const { fails, hangs, takes, keys } = this.#plan;
    const { oracle, universe } = this.#app;
    const keyed = keys === 1;
    return async (message, { signal }) => {
      this.#started.add(message);
      oracle.work.starts(this.#index, message, keyed);
      const running = this.#running.add(message);
      if (running.size > this.#limit) {
        const what = `${this.#name} works on ${String(running.size)} messages, ${String(this.#limit)} are allowed`;
        oracle.findings.violate('concurrency-is-kept', what);
      }
      let counts = true;
      signal.addEventListener('abort', () => {
        if (!counts) return;
        counts = false;
        running.delete(message);
        oracle.work.ends(this.#index, message, keyed, 'aborted');
        // A timeout is a failure that the policy decides about.
        this.#decides(message.body, 'failed');
      });
      const { chance, run } = this.#app.chanceOf(message.body, this.#index);
      const hanging = chance.integer(1, 100) <= hangs;
      const ms = hanging ? 15_000 : chance.integer(0, takes);
      if (ms > 0) await universe.sleep(ms);
      // What fails for ever would never come to rest.
      const failing = chance.integer(1, 100) <= fails && run < 6;
      if (!signal.aborted) {
        counts = false;
        running.delete(message);
        oracle.work.ends(this.#index, message, keyed, failing ? 'failed' : 'done');
      }
      if (failing) throw FAILURE;
    };
  }

  #settleByHand(delivery: Delivery<Body>): void {
    const { fails, takes } = this.#plan;
    const { findings } = this.#app.oracle;
    const { chance, run } = this.#app.chanceOf(delivery.body, 7);
    void this.#app.universe.sleep(chance.integer(0, takes)).then(() => {
      const failing = chance.integer(1, 100) <= fails && run < 6;
      const open = delivery.settled === undefined;
      const how = failing ? chance.pick(['requeue', 'release', 'reject']) : 'ack';
      if (open) this.#decides(delivery.body, how === 'ack' ? 'done' : 'failed');
      const accepted = delivery[how]();
      if (accepted && !open) findings.violate('a-delivery-is-single-shot', 'settled a second time');
      if (chance.chance(0.2) && delivery.ack()) {
        findings.violate('a-delivery-is-single-shot', 'a second settlement was accepted');
      }
    });
  }
}

/** Emits `true` and `false` when pauses begin and end. */
export function paused(pauses: ConsumerPlan['pauses']): Observable<boolean> {
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
