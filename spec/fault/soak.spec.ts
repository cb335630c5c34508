import { InstanceQueue, handle, type Handled, type Message } from 'instance-queue';
import { FaultProxy } from '../../compose/fault-proxy';
import { sharedBroker } from '../support/broker';
import { closeAll, closing, uniqueName } from '../support/cleanup';
import { eventually } from '../support/waiting';

const broker = sharedBroker();
const seconds = Number(process.env.SOAK_SECONDS ?? 20);
const seed = Number(process.env.SOAK_SEED ?? Date.now() % 1_000_000);

/** mulberry32: the same faults for the same seed. */
function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('soak', () => {
  afterAll(closeAll);

  it(
    `under random faults no confirmed message is lost (SOAK_SEED=${seed}, SOAK_SECONDS=${seconds})`,
    async () => {
      process.stderr.write(`soak: SOAK_SEED=${seed}\n`);
      // One for the faults, so that their order does not hang on when messages come; one for the handlers.
      const random = generator(seed);
      const luck = generator(seed + 1);
      const proxy = await FaultProxy.before(broker.url);
      const name = uniqueName('soak');
      const reconnect = { min: 20, max: 200 };
      const options = {
        url: proxy.url(broker.url),
        name,
        heartbeat: 1,
        connectTimeout: 1500,
        reconnect,
        reopen: reconnect,
      };
      const queue = closing(new InstanceQueue(options));
      const spec = { name, deadLetter: { queue: `${name}.dead` } };

      const handled = new Map<number, Set<string>>();
      const work = ({ body, properties }: Message<number>, { signal }: { signal: AbortSignal }): unknown => {
        const chance = luck();
        if (chance < 0.05) throw new Error('bad luck');
        if (chance < 0.07)
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
        handled.set(body, (handled.get(body) ?? new Set()).add(properties.messageId ?? ''));
        return chance < 0.3 ? pause(luck() * 20) : undefined;
      };
      const outcomes: Handled<number, unknown>[] = [];
      // Whatever fails is requeued, however often: nothing may end as a dead letter.
      const consumed = new Promise<void>((resolve, reject) => {
        queue
          .consume<number>({ queue: spec, prefetch: 30 })
          .pipe(handle(work, { timeout: 300, onError: 'requeue' }))
          .subscribe({ next: (one) => outcomes.push(one), complete: resolve, error: reject });
      });

      const confirmed = new Set<number>();
      const refused: unknown[] = [];
      const sends: Promise<void>[] = [];
      let number = 0;
      const until = performance.now() + seconds * 1000;
      const producing = (async () => {
        while (performance.now() < until) {
          const body = (number += 1);
          const sent = queue.send({ queue: name, body }).then(
            () => void confirmed.add(body),
            (error: unknown) => void refused.push(error),
          );
          sends.push(sent);
          await pause(2);
        }
      })();
      while (performance.now() < until) {
        await pause(100 + random() * 900);
        const fault = Math.floor(random() * 5);
        if (fault === 0) proxy.cut();
        if (fault === 1) proxy.finish();
        if (fault === 2) proxy.delay(50, 0.5);
        if (fault === 3) proxy.refuse();
        if (fault === 4) proxy.blackHole();
        await pause(random() * (fault === 4 ? 2500 : 400));
        await proxy.restore({ reset: random() < 0.5 });
      }
      await producing;
      await Promise.all(sends);
      expect(refused).toEqual([]);
      expect(confirmed.size).toBe(number);
      expect(number).toBeGreaterThan(seconds * 50);

      await eventually(() => handled.size === number, 20_000);
      const ids = [...handled.values()];
      // Copies of one message are told by their id.
      expect(ids.filter(({ size }) => size !== 1)).toEqual([]);
      expect(new Set(ids.map(([id]) => id)).size).toBe(number);
      const { metrics } = queue;
      expect(metrics.outbox).toEqual({ queued: 0, unconfirmed: 0, bytes: 0 });
      expect(metrics).toMatchObject({ confirmed: number, timedOut: 0, undecodable: 0 });
      expect(metrics.reconnects).toBeGreaterThan(0);
      expect(metrics.delivered).toBe(
        metrics.acked + metrics.requeued + metrics.released + metrics.rejected + metrics.lost + metrics.inFlight,
      );

      await eventually(
        async () => (await broker.queues()).some((row) => row.name === name && row.messages === 0),
        20_000,
      );
      // Nothing has piled up: one connection for each role, with one channel.
      await eventually(async () => {
        const rows = (await broker.connections()).filter((row) => row.name.startsWith(`${name}.`));
        const present = rows.map((row) => `${row.name} ${row.channels}`).sort();
        return present.join() === [`${name}.consumer 1`, `${name}.producer 1`].join();
      }, 20_000);
      expect(await queue.close()).toEqual({ unsettled: 0, unconfirmed: 0 });
      await consumed;
      expect(outcomes.filter(({ settlement }) => settlement === 'reject')).toEqual([]);
      await proxy.close();
      await eventually(async () => !(await broker.connections()).some((row) => row.name.startsWith(name)), 20_000);
      await broker.ctl('delete_queue', name);
    },
    (seconds + 70) * 1000,
  );
});
