/** Does a message cost the same, however many there are? */
import { Connection, Producer, publish } from '../shipped';
import { lastValueFrom } from 'rxjs';
import { measure, rss, type Figure } from './report';

const SIZES = [10_000, 100_000, 1_000_000];
const BODY = Buffer.alloc(256, 'x');
const QUEUE = 'bench-linear';

measure(async (url, scale) => {
  const connection = new Connection(url);
  // Most are thrown away by the broker: a million in a queue would measure its memory.
  const producer = new Producer(connection, { topology: { queues: [{ name: QUEUE, maxLength: 1000 }] } });
  const run = (count: number): Promise<unknown> =>
    lastValueFrom(publish(producer, messages(count), { concurrency: 1000 }));
  await run(50_000);
  const figures: Figure[] = [];
  for (const size of SIZES.map((full) => Math.round(full * scale))) {
    const before = rss();
    const cpu = process.cpuUsage();
    const began = performance.now();
    await run(size);
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    figures.push({
      what: `publish() over an iterable of ${size.toLocaleString('en')}`,
      value: `${((user + system) / size).toFixed(2)} µs CPU a message, ${(size / ms).toFixed(1)} k/s, RSS ${before.toFixed(0)} → ${rss().toFixed(0)} MiB`,
    });
  }
  await connection.close();
  return figures;
});

function* messages(count: number) {
  for (let i = 0; i < count; i++) yield { queue: QUEUE, body: BODY, persistent: false };
}
