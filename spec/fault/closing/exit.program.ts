/** Brings an InstanceQueue into the phase that its first argument names, closes it, and does nothing more. */
import { once } from 'node:events';
import { handle, InstanceQueue, type InstanceQueueOptions } from '../../../lib/index';

const [, , phase = '', url = '', deadUrl = ''] = process.argv;
const reconnect = { min: 20, max: 20 };

const queueOf = (options: Partial<InstanceQueueOptions> = {}): InstanceQueue =>
  new InstanceQueue({ url, reconnect, heartbeat: 5, ...options });

const PHASES: Readonly<Record<string, () => Promise<InstanceQueue>>> = {
  unused: () => Promise.resolve(queueOf()),
  connecting: () => {
    const queue = queueOf();
    queue.connect().catch(() => undefined);
    return Promise.resolve(queue);
  },
  'backing off': () => {
    const queue = queueOf({ url: deadUrl, reconnect: { min: 60_000, max: 60_000, jitter: 0 } });
    queue.connect().catch(() => undefined);
    return new Promise((resolve) => queue.once('reconnecting', () => resolve(queue)));
  },
  'with unsent messages': async () => {
    const queue = queueOf({ url: deadUrl });
    queue.send({ queue: 'q', body: 1 }).catch(() => undefined);
    return new Promise((resolve) => queue.once('reconnecting', () => resolve(queue)));
  },
  'given up': async () => {
    const queue = queueOf({ url: deadUrl, reconnect: { initialAttempts: 1 } });
    await queue.connect().catch(() => undefined);
    return queue;
  },
  idle: async () => {
    const queue = queueOf();
    await queue.connect();
    return queue;
  },
  busy: async () => {
    const queue = queueOf();
    queue
      .consume({ queue: { name: '', exclusive: true } })
      .pipe(handle(() => undefined))
      .subscribe();
    const consumer = queue.consumer({ queue: { name: `exit-${process.pid}`, expires: 5000 } });
    consumer.deliveries$.pipe(handle(() => new Promise(() => undefined), { timeout: 60_000 })).subscribe();
    await queue.send({ queue: `exit-${process.pid}`, body: 'stuck' });
    while (queue.metrics.inFlight === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    return queue;
  },
  // The parent process causes a fault, and then sends the signal.
  'with a fault': async () => {
    const queue = queueOf({ producer: { outbox: { limit: 3 }, maxInFlight: 2 }, reopen: { min: 20, max: 20 } });
    queue
      .consume({ queue: 'q', declare: false })
      .pipe(handle(() => new Promise(() => undefined)))
      .subscribe();
    for (let body = 0; body < 10; body += 1) {
      queue.send({ exchange: 'amq.direct', routingKey: 'x', body, mandatory: false }).catch(() => undefined);
    }
    await signalOfParent();
    return queue;
  },
  'after sending': async () => {
    const queue = queueOf();
    await queue.connect();
    await queue.send({ exchange: 'amq.direct', routingKey: 'x', body: 1, mandatory: false });
    return queue;
  },
};

/** Resolves at the signal of the parent process. */
function signalOfParent(): Promise<unknown> {
  const signal = once(process, 'SIGUSR2');
  process.stdout.write('ready\n');
  return signal;
}

async function main(): Promise<void> {
  const queue = await PHASES[phase]?.();
  if (!queue) throw new Error(`Expected the name of a phase, got ${phase}`);
  const [report] = await Promise.all([queue.close({ drainTimeout: 200 }), queue.close()]);
  process.stdout.write(JSON.stringify(report));
}

void main();
