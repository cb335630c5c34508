/** Publishes and consumes so many messages a second, with amqplib, until it is killed. */
import { connect } from 'amqplib';
import { randomBytes } from 'node:crypto';

const QUEUE = 'bench-load';
const EVERY = 10;
const [url = '', perSecond = ''] = process.argv.slice(2);

async function main(): Promise<void> {
  const [publishing, consuming] = await Promise.all([connect(url), connect(url)]);
  const [out, into] = await Promise.all([publishing.createConfirmChannel(), consuming.createChannel()]);
  await into.assertQueue(QUEUE, { durable: true });
  await into.purgeQueue(QUEUE);
  await into.prefetch(250);
  await into.consume(QUEUE, (message) => {
    if (message) into.ack(message);
  });
  const body = randomBytes(256);
  const began = performance.now();
  let sent = 0;
  setInterval(() => {
    // What a late timer missed comes with the next.
    const due = Math.floor(((performance.now() - began) / 1000) * Number(perSecond));
    for (; sent < due; sent++) out.sendToQueue(QUEUE, body, { persistent: false });
  }, EVERY);
  process.send?.('ready');
}

// The parent process has ended.
process.once('disconnect', () => process.exit());
main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
