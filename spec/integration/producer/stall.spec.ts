import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { closing } from '../../support/closing';
import { rabbitmqFixture } from '../../support/fixtures/rabbitmq';
import { outcomes } from '../../support/publish-error';
import { eventually } from '../../support/waiting';

const given = rabbitmqFixture();

/** Lets what was sent reach the socket, then blocks the event loop for `ms`. No proxy may stand in between: it would stall, too. */
async function blockEventLoop(ms: number): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test('after a stall past its deadline a send is confirmed if the confirm has arrived meanwhile', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  const confirmation = await client.send({ queue, body: 'warm' });
  expect(confirmation.attempts).toBe(1);
  for (let round = 0; round < 5; round++) {
    const sent = client.send({ queue, body: round }, { timeout: 100 });
    await blockEventLoop(150);
    expect(await sent).toMatchObject({ attempts: 1 });
  }
  expect(client.metrics).toMatchObject({ confirmed: 6, timedOut: 0 });
});

test('after a stall past its deadline a send is confirmed, even if the client is closed in the same turn', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  await client.send({ queue, body: 'warm' });
  const sends = [1, 2, 3].map((body) => client.send({ queue, body }, { timeout: 100 }));
  await blockEventLoop(150);
  const [report, ...confirmed] = await Promise.all([client.close(), ...sends]);
  expect(report).toEqual({ unsettled: 0, unconfirmed: 0 });
  expect(confirmed).toHaveLength(3);
  expect(client.metrics).toMatchObject({ confirmed: 4, timedOut: 0 });
});

test('after a stall, with no time left to close, each send settles once, and the report counts the unconfirmed', async () => {
  const { bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const client = newClient();
  await client.send({ queue, body: 'warm' });
  const settled = outcomes([1, 2, 3].map((body) => client.send({ queue, body }, { timeout: 100 })));
  await blockEventLoop(150);
  const { unconfirmed } = await client.close({ drainTimeout: 0 });
  const codes = await settled;
  expect(codes.filter((outcome) => outcome === 'PUBLISH_CLOSED')).toHaveLength(unconfirmed);
  expect(codes.filter((outcome) => outcome === 'confirmed')).toHaveLength(3 - unconfirmed);
});

test('after a stall past its deadline a request resolves if its reply has arrived meanwhile', async () => {
  const { url, bystander, newClient } = given;
  const queue = await bystander.declareQueue();
  const responder = new Worker(RESPONDER, { eval: true, workerData: { url, queue } });
  closing({ close: () => responder.terminate() });
  await once(responder, 'message');
  const client = newClient();
  await client.request({ queue, body: 'warm' });
  for (let round = 0; round < 5; round++) {
    const { confirmed } = client.metrics;
    const asked = client.request({ queue, body: round }, { timeout: 200 });
    await eventually(() => client.metrics.confirmed > confirmed);
    await blockEventLoop(250);
    expect(await asked).toMatchObject({ body: round });
  }
});

/** Runs on a thread of its own, which goes on while this one is blocked. */
const RESPONDER = `
  const { parentPort, workerData: { url, queue } } = require('node:worker_threads');
  const { connect } = require('amqplib');
  connect(url).then(async (connection) => {
    const channel = await connection.createChannel();
    await channel.consume(queue, (message) => {
      if (message === null) return;
      const { content, properties: { replyTo, correlationId, contentType } } = message;
      setTimeout(() => channel.sendToQueue(replyTo, content, { correlationId, contentType }), 50);
    }, { noAck: true });
    parentPort.postMessage('ready');
  });
`;
