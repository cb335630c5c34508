import { publish, PublishError, type OutboundMessage } from 'instance-queue';
import { firstValueFrom, of } from 'rxjs';
import { Random } from '../../lib/testing/simulation/random';
import type { AppRun } from './app-run';
import type { Body } from './body';
import type { ProducerPlan } from './plan';

/** The exchange of the app, with a binding for each queue. */
export const EXCHANGE = 'events';

/** Sends what a producer of the plan sends; resolves when all of it has settled. */
export async function produce(app: AppRun, plan: ProducerPlan, index: number): Promise<void> {
  const { universe, oracle, client } = app;
  await universe.sleep(plan.at);
  if (app.isOver()) return;
  const { onUnknown, onNack, overflow, limit, maxInFlight, timeout } = plan;
  const producer = client.producer<Body>({
    onUnknown,
    onNack,
    maxInFlight,
    timeout,
    outbox: { overflow, limit },
  });
  oracle.states.watchProducer(producer, plan);
  if (plan.closeAt !== undefined) {
    app.at(plan.closeAt, () => {
      void producer.close();
    });
  }
  const queue = app.queueAt(plan.queue);
  const chance = new Random(app.plan.seed * 31 + index);
  for (let i = 0; i < plan.messages && !app.isOver(); i++) {
    const body = app.body(index, chance.integer(0, 5));
    const route = plan.through === 'queue' ? { queue } : { exchange: EXCHANGE, routingKey: `${queue}.x` };
    const message: OutboundMessage<Body> = { ...route, body };
    oracle.sends.sends(body, plan);
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
    watch(app, body, sending);
    if (plan.every > 0) await universe.sleep(plan.every);
  }
  await app.settled();
}

function watch(
  app: AppRun,
  body: Body,
  sending: Promise<{ messageId: string; attempts: number; epoch: number }>,
): void {
  const { oracle } = app;
  const settling = sending.then(
    (confirmation) => {
      oracle.sends.sent(body, confirmation);
    },
    (error: unknown) => {
      if (error instanceof PublishError) oracle.sends.sent(body, error);
      else oracle.findings.violate('errors-are-for-people', `send rejected with ${String(error)}`);
    },
  );
  app.began(settling);
}
