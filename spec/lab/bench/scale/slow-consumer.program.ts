/** The memory of a process whose consumer is slower than its producer. */
import { lastValueFrom } from 'rxjs';
import { Connection, Consumer, Producer, handle, publish } from '../shipped';
import { measure, rss, type Row } from './report';

measure(async (url, scale) => [await slowConsumer(url, Math.max(10, Math.round(1_000_000 * scale)))]);

/** The work per message takes a turn of the event loop. */
async function slowConsumer(url: string, count: number): Promise<Row> {
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
      if (++seen % Math.floor(count / 10) === 0) marks.push(rss());
      if (seen === count) resolve();
    };
    consumer.deliveries$.pipe(handle(work, { concurrency: 50 })).subscribe();
  });
  await Promise.all([lastValueFrom(publish(new Producer(sending), messages(), { concurrency: 500 })), all]);
  await Promise.all([sending.close(), receiving.close()]);
  const [first = NaN, last = NaN] = [marks[0], marks.at(-1)];
  return [count.toLocaleString('en'), ...[first, last, Math.max(...marks)].map((mib) => mib.toFixed(0))];
}
