import { InstanceQueue } from 'instance-queue';
import { privateBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { uniqueName } from '../../support/unique-name';
import { bodies } from '../../support/brokers/messages';
import { outcomes } from '../../support/publish-error';
import { eventually, until } from '../../support/waiting';

const broker = privateBroker();
const quick = { min: 20, max: 100 };
afterEach(closeAll);

/** Sends without a pause until told to stop: how each send ended. */
function stream(front: InstanceQueue, queue: string): { readonly stop: () => Promise<string[]> } {
  const sends: Promise<unknown>[] = [];
  let going = true;
  const lane = async (): Promise<void> => {
    while (going) {
      const sent = front.send({ queue, body: sends.length });
      sends.push(sent);
      await sent.catch(() => (going = false));
    }
  };
  const lanes = Promise.all(Array.from({ length: 20 }, lane));
  return {
    stop: async () => {
      going = false;
      await lanes;
      return outcomes(sends);
    },
  };
}

const TROUBLES = [
  ['killed', () => broker.kill().then(() => broker.start())],
  ['stopped and started', () => broker.stopApp().then(() => broker.startApp())],
] as const;

test.each(TROUBLES)(
  'a broker %s with messages in flight loses none that was confirmed, and every send settles',
  async (_, trouble) => {
    const queue = uniqueName('restart');
    // What is in flight has to outlive the start of a broker, which may take its time.
    const producer = { timeout: 100_000 };
    const front = closing(new InstanceQueue({ url: broker.url, reconnect: quick, reopen: quick, producer }));
    await front.send({ queue, body: 'first' });
    // RabbitMQ writes what it knows of queues to disk with a delay: killed before, it forgets a queue that is new, and its
    // messages with it, whoever sent them. This waits for the disk; a broker without Mnesia has no such delay.
    await broker.ctl('eval', 'catch mnesia:sync_log().');
    const { stop } = stream(front, queue);
    await eventually(() => front.metrics.confirmed > 100);
    await trouble();
    await until(front.state$, ({ producer }) => producer.status === 'connected' && producer.epoch > 1);
    await front.send({ queue, body: 'last' });
    const settled = await stop();
    expect(new Set(settled)).toEqual(new Set(['confirmed']));
    const bystander = closing(await Bystander.at(broker.url));
    bystander.deletesQueue(queue);
    const arrived = new Set(bodies(await bystander.takeAll(queue)));
    const lost = settled.flatMap((outcome, body) => (outcome === 'confirmed' && !arrived.has(body) ? [body] : []));
    expect(lost).toEqual([]);
    expect([arrived.has('first'), arrived.has('last')]).toEqual([true, true]);
    expect(front.metrics).toMatchObject({
      timedOut: 0,
      outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
    });
  },
);

test('a persistent message outlives its broker in a durable queue, another does not', async () => {
  const queue = uniqueName('restart');
  const front = closing(new InstanceQueue({ url: broker.url, reconnect: quick }));
  await front.send({ queue, body: 'kept' });
  await front.send({ queue, body: 'gone', persistent: false });
  await broker.stopApp();
  await broker.startApp();
  const bystander = closing(await Bystander.at(broker.url));
  bystander.deletesQueue(queue);
  expect(bodies(await bystander.takeAll(queue))).toEqual(['kept']);
});
