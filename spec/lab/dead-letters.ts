/**
 * `npm run dead-letters`: a dead-letter queue with a million letters (`LETTERS` says how many). How long the first page takes,
 * what memory it takes to look at all of them, and how fast they are replayed. A process of its own looks and replays, so that its
 * memory is its own; the letters are filled in by this one. For comparison a bare shovel on amqplib replays as many with the same
 * guarantees, out of a queue that was filled in the same way: what a broker can do depends on the size of the letters, and on how
 * much of both queues it has in memory.
 */
import { connect, type ConsumeMessage, type Options } from 'amqplib';
import { spawn } from 'node:child_process';
import { lastValueFrom } from 'rxjs';
import { startBroker } from '../../compose/broker';
import { InstanceQueue } from '../../lib';
import { deadLetters } from '../../lib/tools';

const LETTERS = Number(process.env.LETTERS || 1_000_000);
const TYPE = process.env.QUEUE_TYPE || 'classic';
const DEAD = 'orders.dead';
const NAME = 'orders';
/** The window of the bare shovel, and its acks. */
const SHOVEL_WINDOW = 5000;
const SHOVEL_ACKS = 50;
/** ms between two looks at the memory. */
const SAMPLE = 50;
const MIB = 1024 * 1024;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Makes both queues anew, and fills the one with dead letters. */
async function fill(url: string): Promise<void> {
  const began = performance.now();
  const model = await connect(url);
  const channel = await model.createConfirmChannel();
  for (const name of [DEAD, NAME]) await channel.deleteQueue(name);
  const options = { durable: true, arguments: { 'x-queue-type': TYPE } };
  await channel.assertQueue(DEAD, options);
  await channel.assertQueue(NAME, options);
  const errors = ['PriceMissing', 'CustomerUnknown', 'TimeoutError'];
  for (let i = 0; i < LETTERS; i++) {
    const headers = {
      'x-instance-queue-attempts': 5,
      'x-instance-queue-queue': NAME,
      'x-instance-queue-first-failed': new Date().toISOString(),
      'x-instance-queue-exchange': '',
      'x-instance-queue-routing-key': NAME,
      'x-instance-queue-error-name': errors[i % errors.length],
      'x-instance-queue-error-message': `order ${i} cannot be charged`,
      'x-instance-queue-spent': true,
    };
    const content = Buffer.from(JSON.stringify({ id: i, text: 'x'.repeat(200) }));
    const more = channel.sendToQueue(DEAD, content, {
      persistent: true,
      messageId: `order-${i}`,
      contentType: 'application/json',
      headers,
    });
    if (!more) await new Promise((resolve) => channel.once('drain', resolve));
    if (i % 5000 === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  await model.close();
  say(`${LETTERS} letters in a ${TYPE} queue (${((performance.now() - began) / 1000).toFixed(0)} s)`);
}

/** Replays all with amqplib alone: confirmed, mandatory, acked in bulk behind the confirm. Returns letters per second. */
async function shovel(url: string): Promise<number> {
  const [reading, writing] = [await connect(url), await connect(url)];
  const [source, sink] = [await reading.createChannel(), await writing.createConfirmChannel()];
  await source.prefetch(SHOVEL_WINDOW);
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    let confirmed = 0;
    const read = (message: ConsumeMessage | null): void => {
      if (!message) return;
      const { content, properties } = message;
      const onConfirmed = (error: Error | null): void => {
        if (error) reject(error);
        // A classic queue confirms in order.
        else if (++confirmed % SHOVEL_ACKS === 0 || confirmed === LETTERS) source.ack(message, true);
        if (confirmed === LETTERS) resolve();
      };
      sink.publish('', NAME, content, { ...(properties as Options.Publish), mandatory: true }, onConfirmed);
    };
    source.consume(DEAD, read).catch(reject);
  });
  const seconds = (performance.now() - began) / 1000;
  await reading.close();
  await writing.close();
  return LETTERS / seconds;
}

/** The process whose memory is measured. */
async function look(url: string): Promise<void> {
  const queue = new InstanceQueue({ url, logger: 'silent' });
  await queue.connect();
  const letters = deadLetters(queue, DEAD);
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    globalThis.gc?.();
    const before = process.memoryUsage();
    let most = before;
    const sampling = setInterval(() => {
      const now = process.memoryUsage();
      if (now.rss > most.rss) most = now;
    }, SAMPLE);
    const began = performance.now();
    const cpu = process.cpuUsage();
    const result = await work();
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    clearInterval(sampling);
    const [from, to] = [before.rss, most.rss].map((bytes) => Math.round(bytes / MIB));
    const busy = ((user + system) / 1e6).toFixed(2);
    say(`${what}: ${seconds.toFixed(2)} s, ${busy} s of CPU; resident ${from} MiB before, ${to} MiB at most`);
    return result;
  };
  await timed('first page (1000 letters in groups)', () => lastValueFrom(letters.groups()));
  const all = await timed('all letters in groups', () => lastValueFrom(letters.groups({ limit: Infinity })));
  say(`  ${all.read} of ${all.found} read, ${all.groups.length} groups`);
  const began = performance.now();
  const report = await timed('replayed', () => lastValueFrom(letters.replay()));
  const rate = Math.round(report.done / ((performance.now() - began) / 1000));
  say(`  ${report.done} of ${report.found}, ${rate}/s; kept ${JSON.stringify(report.kept)}`);
  await queue.close();
}

async function run(): Promise<void> {
  const [, , url] = process.argv;
  if (url !== undefined) {
    await look(url);
    return;
  }
  const broker = await startBroker({ private: true, say });
  try {
    await fill(broker.url);
    const child = spawn(process.execPath, ['--expose-gc', '-r', 'esbuild-register', __filename, broker.url], {
      stdio: 'inherit',
    });
    await new Promise((resolve) => child.once('close', resolve));
    say((await broker.ctl('list_queues', 'name', 'messages')).trim());
    await fill(broker.url);
    say(`a bare shovel on amqplib: ${Math.round(await shovel(broker.url))}/s`);
  } finally {
    await broker.stop();
  }
}

run().catch((error: unknown) => {
  process.exitCode = 1;
  console.error(error);
});
