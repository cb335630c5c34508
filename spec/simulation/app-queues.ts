import { defineQueue, type Codec, type QueueSpec } from 'instance-queue';
import type { AppRun } from './app-run';
import { CONTRACTED, EXCHANGE, isBody, ownQueueOf, type Body } from './body';
import type { ConsumerPlan } from './plan';

/** The contract of a queue. Who reads with it is seen in the body. */
export const contractOf = (spec: QueueSpec) => defineQueue({ ...spec, body: contracted });

const contracted: Codec<Body> = {
  contentType: CONTRACTED,
  encode: (body) => Buffer.from(JSON.stringify(body)),
  decode: (content) => ({ ...bodyOf(content), readBy: CONTRACTED }),
};

function bodyOf(content: Buffer): Body {
  const body: unknown = JSON.parse(content.toString());
  if (!isBody(body)) throw new Error('not a body');
  return body;
}

/** A codec that cannot read some messages. */
function choosy(app: AppRun, { oneIn, policy }: NonNullable<ConsumerPlan['unreadable']>): Codec<Body, never> {
  const tries = new Map<number, number>();
  return {
    contentType: 'application/json',
    encode: () => Buffer.alloc(0),
    decode: (content) => {
      const body = bodyOf(content);
      const { id } = body;
      const tried = 1 + (tries.get(id) ?? 0);
      tries.set(id, tried);
      if (id % oneIn !== 0 || (policy === 'requeue' && tried > 2)) return body;
      app.oracle.options.isUnreadable();
      app.oracle.work.decides(body, policy === 'requeue' ? 'unread' : 'failed');
      throw new Error('simulated: it cannot be read');
    },
  };
}

/** How the app names the queue of a consumer: by its name, by a spec, or by a contract. */
export function queueFor(app: AppRun, { queue: index, contract }: ConsumerPlan) {
  const { queues, foreign } = app.plan;
  const spec = queues[index] ?? { name: app.queueAt(index) };
  if (foreign?.queue === index) {
    return foreign.by === 'passive'
      ? { queue: { name: spec.name, passive: true } }
      : { queue: spec.name, declare: false };
  }
  return { queue: contract ? contractOf(spec) : spec.name };
}

/** What a consumer asks for that most do not. */
export function rarelyGiven(app: AppRun, { exclusive, tagPrefix, topology, unreadable }: ConsumerPlan, index: number) {
  const own = ownQueueOf(index);
  return {
    ...(exclusive && { exclusive }),
    ...(tagPrefix !== undefined && { tagPrefix }),
    ...(topology && {
      topology: { queues: [{ name: own }], bindings: [{ exchange: EXCHANGE, queue: own, routingKey: own }] },
    }),
    ...(unreadable && { codec: choosy(app, unreadable) }),
  };
}
