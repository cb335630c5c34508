import type { InstanceQueue } from 'instance-queue';
import { writtenDefinitions } from '../../support/brokers/written-definitions';
import { bodies } from '../../support/brokers/messages';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { outcomes } from '../../support/publish-error';
import { uniqueName } from '../../support/unique-name';
import { eventually, until } from '../../support/waiting';

const given = rabbitmqFixture({ private: true });
const { broker } = given;
const quick = { min: 20, max: 100 };

/** Sends continuously until `stop`, which resolves with the outcome of each send. */
function sendContinuously(client: InstanceQueue, queue: string): { readonly stop: () => Promise<string[]> } {
  const sends: Promise<unknown>[] = [];
  let going = true;
  const sendInTurn = async (): Promise<void> => {
    while (going) {
      const sent = client.send({ queue, body: sends.length });
      sends.push(sent);
      await sent.catch(() => (going = false));
    }
  };
  const all = Promise.all(Array.from({ length: 20 }, sendInTurn));
  return {
    stop: async () => {
      going = false;
      await all;
      return outcomes(sends);
    },
  };
}

const RESTARTS = [
  ['killed', () => broker.kill().then(() => broker.start())],
  ['stopped and started', () => broker.stopApp().then(() => broker.startApp())],
] as const;

test.each(RESTARTS)(
  'a broker that is %s with messages in flight loses no confirmed message, and every send settles',
  async (_, restart) => {
    const queue = uniqueName('restart');
    // Messages in flight must not time out before the broker is back, which may take a while.
    const producer = { timeout: 100_000 };
    const { bystander, newClient } = given;
    const client = newClient({ reconnect: quick, reopen: quick, producer });
    await client.send({ queue, body: 'first' });
    await writtenDefinitions(broker);
    const { stop } = sendContinuously(client, queue);
    await eventually(() => client.metrics.confirmed > 100);
    await restart();
    await until(client.state$, ({ producer }) => producer.status === 'connected' && producer.epoch > 1);
    await client.send({ queue, body: 'last' });
    const settled = await stop();
    expect(new Set(settled)).toEqual(new Set(['confirmed']));
    bystander.deletesQueue(queue);
    const arrived = new Set(bodies(await bystander.takeAll(queue)));
    const lost = settled.flatMap((outcome, body) => (outcome === 'confirmed' && !arrived.has(body) ? [body] : []));
    expect(lost).toEqual([]);
    expect([arrived.has('first'), arrived.has('last')]).toEqual([true, true]);
    expect(client.metrics).toMatchObject({
      timedOut: 0,
      outbox: { queued: 0, unconfirmed: 0, bytes: 0 },
    });
  },
);

test('in a durable queue a persistent message survives the restart of the broker, another does not', async () => {
  const queue = uniqueName('restart');
  const { bystander, newClient } = given;
  const client = newClient({ reconnect: quick });
  await client.send({ queue, body: 'kept' });
  await client.send({ queue, body: 'gone', persistent: false });
  await broker.stopApp();
  await broker.startApp();
  bystander.deletesQueue(queue);
  expect(bodies(await bystander.takeAll(queue))).toEqual(['kept']);
});
