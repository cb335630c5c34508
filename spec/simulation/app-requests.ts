import { PublishError } from 'instance-queue';
import type { AppRun } from './app-run';
import type { Body } from './body';
import type { RequesterPlan } from './plan';

const REQUESTS = 'requests';
/** ms without faults in which a request is answered, or rejected with the reason. */
const IN_TIME = 20_000;

/** A responder, and the requests that it gets; resolves when each has settled. */
export async function request(app: AppRun, plan: RequesterPlan, index: number): Promise<void> {
  const { universe, oracle, client } = app;
  const { findings } = oracle;
  const { takes, fails, idempotent, timeout } = plan;
  await universe.sleep(plan.at);
  if (app.isOver()) return;
  // The request is deleted with its queue; or the reply is refused for good with the topology, and the request with it.
  const excused = app.plan.faults.some(({ kind }) => kind === 'queue-deleted' || kind === 'denied');
  let stopped = false;
  const answered = new Map<number, number>();
  client
    .respond<Body>({ queue: REQUESTS }, async (message) => {
      const { chance } = app.chanceOf(message.body, 3);
      await universe.sleep(chance.integer(0, takes) + 1);
      const failing = chance.integer(1, 100) <= fails;
      answered.set(message.body.id, 1 + (answered.get(message.body.id) ?? 0));
      oracle.work.decides(message.body, failing ? 'failed' : 'done');
      if (failing) throw new Error('simulated failure');
      return { answer: message.body.id };
    })
    .subscribe({
      error: (error: unknown) => {
        stopped = true;
        if (!app.mayStop(error)) findings.violate('a-consumer-stays', `responder: ${String(error)}`);
      },
    });
  const asking: Promise<void>[] = [];
  for (let i = 0; i < plan.requests && !app.isOver(); i++) {
    const body = app.body(index, 0);
    const sentAt = universe.now;
    const asked = client.request<{ answer: number }>({ queue: REQUESTS, body }, { idempotent, timeout }).then(
      (reply) => {
        findings.note(`app: ${String(body.id)} is answered`);
        if (reply.body.answer !== body.id) findings.violate('replies-belong-to-their-request', String(body.id));
        if (!answered.has(body.id)) findings.violate('a-reply-comes-from-work', String(body.id));
      },
      (error: unknown) => {
        findings.note(`app: request ${String(body.id)} rejects: ${String(error)}`);
        const quiet = universe.now - Math.max(sentAt, universe.faultsOver);
        const late = error instanceof PublishError && error.code === 'REPLY_TIMEOUT' && quiet > IN_TIME;
        if (late && !stopped && !excused) findings.violate('a-request-is-answered-in-time', String(body.id));
        const tells = error instanceof PublishError;
        if (!tells) findings.violate('errors-are-for-people', `request rejected with ${String(error)}`);
        else if (!error.maybeDelivered && answered.has(body.id) && error.code !== 'REPLY_ERROR') {
          findings.violate(
            'maybeDelivered-tells-the-truth',
            `request ${String(body.id)}: ${error.code}, and it was worked on`,
          );
        }
      },
    );
    asking.push(asked);
    app.began(asked);
    if (plan.every > 0) await universe.sleep(plan.every);
  }
  await Promise.all(asking);
}
