import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { InstanceQueue } from 'instance-queue';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { outcomes } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

/** Returns when what was sent is on its way, and then lets nothing else of this process run for `ms`. */
async function standStill(ms: number): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('a process that stands still past a deadline reads what came meanwhile, before it gives up', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.declareQueue();
  const queue = closing(new InstanceQueue(url));
  const confirmation = await queue.send({ queue: name, body: 'warm' });
  expect(confirmation.attempts).toBe(1);
  for (let round = 0; round < 5; round++) {
    const sent = queue.send({ queue: name, body: round }, { timeout: 100 });
    await standStill(150);
    expect(await sent).toMatchObject({ attempts: 1 });
  }
  expect(queue.metrics).toMatchObject({ confirmed: 6, timedOut: 0 });
});

test('so it does when it is closed in that turn', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.declareQueue();
  const queue = closing(new InstanceQueue(url));
  await queue.send({ queue: name, body: 'warm' });
  const sends = [1, 2, 3].map((body) => queue.send({ queue: name, body }, { timeout: 100 }));
  await standStill(150);
  const [report, ...confirmed] = await Promise.all([queue.close(), ...sends]);
  expect(report).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(confirmed).toHaveLength(3);
  expect(queue.metrics).toMatchObject({ confirmed: 4, timedOut: 0 });
});

test('and where no time is left to close, each send is told once, and counted', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.declareQueue();
  const queue = closing(new InstanceQueue(url));
  await queue.send({ queue: name, body: 'warm' });
  const settled = outcomes([1, 2, 3].map((body) => queue.send({ queue: name, body }, { timeout: 100 })));
  await standStill(150);
  const { unconfirmed } = await queue.close({ drainTimeout: 0 });
  const told = await settled;
  expect(told.filter((outcome) => outcome === 'PUBLISH_CLOSED')).toHaveLength(unconfirmed);
  expect(told.filter((outcome) => outcome === 'confirmed')).toHaveLength(3 - unconfirmed);
});

test('also for the reply to a request', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.declareQueue();
  const responder = new Worker(RESPONDER, { eval: true, workerData: { url, name } });
  closing({ close: () => responder.terminate() });
  await once(responder, 'message');
  const queue = closing(new InstanceQueue(url));
  await queue.request({ queue: name, body: 'warm' });
  for (let round = 0; round < 5; round++) {
    const { confirmed } = queue.metrics;
    const asked = queue.request({ queue: name, body: round }, { timeout: 200 });
    await eventually(() => queue.metrics.confirmed > confirmed);
    await standStill(250);
    expect(await asked).toMatchObject({ body: round });
  }
});

/** On a thread of its own it goes on while ours stands still. */
const RESPONDER = `
  const { parentPort, workerData: { url, name } } = require('node:worker_threads');
  const { connect } = require('amqplib');
  connect(url).then(async (connection) => {
    const channel = await connection.createChannel();
    await channel.consume(name, (message) => {
      if (message === null) return;
      const { content, properties: { replyTo, correlationId, contentType } } = message;
      setTimeout(() => channel.sendToQueue(replyTo, content, { correlationId, contentType }), 50);
    }, { noAck: true });
    parentPort.postMessage('ready');
  });
`;
