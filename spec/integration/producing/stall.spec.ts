import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { InstanceQueue } from 'instance-queue';
import { sharedBroker } from '../../support/broker';
import { Bystander } from '../../support/bystander';
import { closeAll, closing } from '../../support/cleanup';
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
  const name = await bystander.queue();
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

test('also for the reply to a request', async () => {
  const bystander = closing(await Bystander.at(url));
  const name = await bystander.queue();
  const responder = new Worker(RESPONDER, { eval: true, workerData: { url, name } });
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
  await responder.terminate();
});

/** On a thread of its own it goes on while ours stands still. */
const RESPONDER = `
  const { parentPort, workerData: { url, name } } = require('node:worker_threads');
  const { connect } = require('amqplib');
  connect(url).then(async (connection) => {
    const channel = await connection.createChannel();
    await channel.consume(name, ({ content, properties: { replyTo, correlationId, contentType } }) => {
      setTimeout(() => channel.sendToQueue(replyTo, content, { correlationId, contentType }), 50);
    }, { noAck: true });
    parentPort.postMessage('ready');
  });
`;
