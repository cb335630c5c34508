/** Is the cost per message independent of the number of messages? */
import { lastValueFrom } from 'rxjs';
import { Connection, Producer, publish } from '../shipped';
import { median } from '../statistics';
import { stopwatch } from '../stopwatch';
import { measure, resident } from './report';

const SIZES = [10_000, 100_000, 1_000_000];
/** Only at full scale, and in a single round: three minutes. */
const LARGEST = 10_000_000;
const BODY = Buffer.alloc(256, 'x');
const QUEUE = 'bench-linear';
const ROUNDS = 5;
/** Messages of each size in a round. */
const LEAST = 100_000;

interface Sample {
  /** µs per message. */
  readonly cpu: number;
  /** k/s */
  readonly rate: number;
  /** MiB */
  readonly rss: number;
}

measure(async (url, scale) => {
  const connection = new Connection(url);
  // The broker drops most of them: a million in a queue would measure its memory.
  const producer = new Producer(connection, { topology: { queues: [{ name: QUEUE, maxLength: 1000 }] } });
  const run = (count: number): Promise<unknown> =>
    lastValueFrom(publish(producer, messages(count), { concurrency: 1000 }));
  await run(50_000);
  // In rounds, so that disturbances of the machine affect all sizes alike. Without forced garbage collections in between, which
  // would discard compiled code, at the cost of the small sizes.
  const sizes = SIZES.map((full) => ({ size: Math.round(full * scale), samples: [] as Sample[] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const { size, samples } of sizes) {
      // Small sizes several times: a single run ends before the next garbage collection.
      for (let messages = 0; messages < LEAST * scale; messages += size) samples.push(await sample(run, size));
    }
  }
  if (scale >= 1) sizes.push({ size: LARGEST, samples: [await sample(run, LARGEST)] });
  await connection.close();
  const base = medianOf(sizes[0]?.samples ?? [], 'cpu');
  return sizes.map(({ size, samples }) => [
    size.toLocaleString('en'),
    medianOf(samples, 'cpu').toFixed(2),
    (medianOf(samples, 'cpu') / base).toFixed(2),
    medianOf(samples, 'rate').toFixed(1),
    medianOf(samples, 'rss').toFixed(0),
    String(samples.length),
  ]);
});

async function sample(run: (count: number) => Promise<unknown>, size: number): Promise<Sample> {
  const stop = stopwatch();
  await run(size);
  const { ms, cpu } = stop();
  return { cpu: cpu / size, rate: size / ms, rss: resident() };
}

function medianOf(samples: readonly Sample[], key: keyof Sample): number {
  return median(samples.map((sample) => sample[key]));
}

function* messages(count: number) {
  for (let i = 0; i < count; i++) yield { queue: QUEUE, body: BODY, persistent: false };
}
