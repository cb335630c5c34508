/** Memory use: with a slow consumer, and of an outbox without a connection. */
import { Connection, Consumer, Producer, handle, publish } from '../shipped';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { measure, rss, type Figure } from './report';

measure(async (url, scale) => [await slowConsumer(url, Math.round(1_000_000 * scale)), await offline()]);

/** The work per message takes a turn of the event loop. */
async function slowConsumer(url: string, count: number): Promise<Figure> {
  const queue = 'bench-slow';
  const body = Buffer.alloc(256, 'x');
  const [sending, receiving] = [new Connection(url), new Connection(url)];
  function* messages() {
    for (let i = 0; i < count; i++) yield { queue, body, persistent: false };
  }
  let seen = 0;
  const marks: number[] = [];
  const consumer = new Consumer(receiving, { queue, prefetch: 250 });
  const all = new Promise<void>((resolve) => {
    const work = async (): Promise<void> => {
      await new Promise((next) => setImmediate(next));
      if (++seen % Math.ceil(count / 10) === 0) marks.push(rss());
      if (seen === count) resolve();
    };
    consumer.deliveries$.pipe(handle(work, { concurrency: 50 })).subscribe();
  });
  await Promise.all([lastValueFrom(publish(new Producer(sending), messages(), { concurrency: 500 })), all]);
  await Promise.all([sending.close(), receiving.close()]);
  return {
    what: `${count.toLocaleString('en')} messages through a slow consumer`,
    value: `RSS at each tenth: ${marks.map((mib) => mib.toFixed(0)).join(', ')} MiB`,
  };
}

/** On a port whose server never answers. */
async function offline(): Promise<Figure> {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  if (address === null || typeof address === 'string') throw new Error('Expected a port');
  const connection = new Connection(`amqp://127.0.0.1:${String(address.port)}`);
  const producer = new Producer(connection, { timeout: 600_000, outbox: { overflow: 'reject' } });
  const before = rss();
  const body = Buffer.alloc(4096, 'x');
  const sends = Array.from({ length: 10_000 }, () => producer.send({ queue: 'q', body }));
  const settled = Promise.allSettled(sends);
  const { queued, bytes } = producer.outbox;
  const held = rss() - before;
  await connection.close({ drainTimeout: 0 });
  await settled;
  silent.close();
  return {
    what: 'an outbox of 10,000 messages of 4 KiB, offline',
    value: `${queued.toLocaleString('en')} queued, ${(bytes / 2 ** 20).toFixed(1)} MiB by its own count (bound: 64 MiB), RSS +${held.toFixed(0)} MiB`,
  };
}
