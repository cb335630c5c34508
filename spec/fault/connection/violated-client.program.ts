/**
 * Consumes and produces at the broker of its argument until SIGTERM; its handler never ends for bodies that are not JSON.
 * Then it closes, and writes the peak of its memory in bytes and the longest stall of its event loop in ms.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { InstanceQueue, handle } from '../../../lib/index';

async function main(): Promise<void> {
  const reconnect = { min: 5, max: 20 };
  const queue = new InstanceQueue({ url: process.argv[2] ?? '', reconnect, reopen: reconnect });
  queue
    .consume({ queue: 'q', declare: false, prefetch: 10 })
    .pipe(handle(({ body }) => (Buffer.isBuffer(body) ? new Promise(() => undefined) : undefined)))
    .subscribe();

  let peak = 0;
  const sampling = setInterval(() => {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    peak = Math.max(peak, heapUsed + arrayBuffers);
  }, 20);
  const loop = monitorEventLoopDelay({ resolution: 20 });
  loop.enable();
  const stop = new AbortController();
  process.once('SIGTERM', () => {
    stop.abort();
  });
  while (!stop.signal.aborted) {
    await queue.send({ exchange: 'e', body: 1 }, { timeout: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  clearInterval(sampling);
  loop.disable();
  await queue.close({ drainTimeout: 0 });
  process.stdout.write(JSON.stringify({ peak, stall: loop.max / 1e6 }));
}

void main();
