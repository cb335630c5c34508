/** The memory of an outbox without a connection. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { Connection, Producer } from '../shipped';
import { stopwatch } from '../stopwatch';
import { held, measure, type Row } from './report';

const MIB = 2 ** 20;

measure(async (_url, scale) => [
  await offline(10_000, 4096, 64),
  await offline(Math.round(1_000_000 * scale), 64, 256),
  // Half of what it is given: the bound holds.
  await offline(Math.round(1_000_000 * scale), 64, Math.max(1, Math.round(64 * scale))),
]);

/** Sends to a port whose server never answers. */
async function offline(count: number, size: number, bound: number): Promise<Row> {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  if (address === null || typeof address === 'string') throw new Error('Expected a port');
  const connection = new Connection(`amqp://127.0.0.1:${address.port}`);
  const outbox = { limit: count, bytes: bound * MIB, overflow: 'reject' } as const;
  const producer = new Producer(connection, { timeout: 600_000, outbox });
  const before = held();
  const body = Buffer.alloc(size, 'x');
  let settled = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const onSettled = (): void => {
    if (++settled === count) done();
  };
  const stop = stopwatch();
  // The promises are not kept: what has been rejected is no longer in the outbox.
  for (let i = 0; i < count; i++) void producer.send({ queue: 'q', body }).then(onSettled, onSettled);
  const { cpu } = stop();
  // The refused ones are reported in microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  const { queued, bytes } = producer.outbox;
  const kept = (held() - before) / 1024;
  await connection.close({ drainTimeout: 0 });
  await all;
  silent.close();
  return [
    `${count.toLocaleString('en')} sends of ${size.toLocaleString('en')} B`,
    queued.toLocaleString('en'),
    (bytes / MIB).toFixed(1),
    String(bound),
    kept.toFixed(0),
    (cpu / count).toFixed(2),
  ];
}
