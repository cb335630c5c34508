import { InstanceQueue, handle, type Message } from 'instance-queue';
import { FaultProxy } from 'instance-queue/testing';
import { sharedBroker } from '../../support/brokers/test-brokers';
import { Bystander } from '../../support/brokers/bystander';
import { closeAll, closing } from '../../support/closing';
import { bodies } from '../../support/brokers/messages';
import { eventually } from '../../support/waiting';

const { url } = sharedBroker();
afterEach(closeAll);

const COUNT = 10_000;
const CUTS = 10;
const ATTEMPTS = 4;

/** One in ten fails three times and then succeeds, one in a hundred never succeeds. */
const failures = (body: number): number => (body % 100 === 7 ? Infinity : body % 10 === 3 ? 3 : 0);
/** Failed runs as counted in the message: deliveries lost to a cut do not count. */
const failed = ({ properties }: Message<unknown>): number =>
  Number(properties.headers?.['x-instance-queue-attempts'] ?? 0);

test.each(['classic', 'quorum'] as const)(
  'through ten link cuts every message of a %s queue is acked or moved with the right count, and none is lost',
  async (type) => {
    const bystander = closing(await Bystander.at(url));
    const proxy = closing(await FaultProxy.before(url));
    const queue = bystander.freeQueueName();
    const dead = await bystander.declareQueue();
    const wait = bystander.deletesQueue(`${queue}.retry.100`);
    const quick = { min: 10, max: 50 };
    const front = closing(new InstanceQueue({ url: proxy.url(url), reconnect: quick, reopen: quick }));
    const done = new Map<number, Set<number>>();
    const outOfLine: unknown[] = [];
    const work = (message: Message<number>): void => {
      const before = failed(message);
      if (message.deliveryCount < before) outOfLine.push(message.body);
      if (before < failures(message.body)) throw new Error(`failure ${String(before + 1)} of ${String(message.body)}`);
      done.set(message.body, (done.get(message.body) ?? new Set()).add(before));
    };
    const onError = front.retry<number>({ attempts: ATTEMPTS, delay: 100, then: { queue: dead } });
    const seen = { handled: 0, errors: [] as unknown[] };
    front
      .consume<number>({ queue: { name: queue, type }, prefetch: 200 })
      .pipe(handle(work, { onError }))
      .subscribe({
        next: ({ settlement }) => {
          seen.handled++;
          if (settlement === 'reject') seen.errors.push(settlement);
        },
        error: (error: unknown) => seen.errors.push(error),
      });
    await eventually(() => front.health.consumers[0]?.status === 'attached');
    const messages = Array.from({ length: COUNT }, (_, body) => body);
    const put = (async () => {
      for (let at = 0; at < COUNT; at += 500) await bystander.put(queue, ...messages.slice(at, at + 500));
    })();
    for (let cuts = 1; cuts <= CUTS; cuts++) {
      const { handled } = seen;
      // Each cut comes in the middle of work.
      await eventually(() => seen.handled > handled + 300, 60_000);
      proxy.cut();
    }
    await put;
    const good = messages.filter((body) => failures(body) !== Infinity);
    await eventually(() => good.every((body) => done.has(body)), 60_000);
    const lost = async (): Promise<number> => COUNT - good.length - (await bystander.count(dead)).ready;
    await eventually(async () => (await lost()) <= 0, 60_000);
    // Checked twice, because a copy may move from one queue to the other between the checks.
    const empty = async (): Promise<boolean> => {
      const left = (await sharedBroker().queues()).filter(({ name }) => name === queue || name === wait);
      return left.every(({ messages }) => messages === 0) && front.metrics.inFlight === 0;
    };
    await eventually(async () => (await empty()) && (await empty()), 60_000);

    expect(front.metrics.reconnects).toBeGreaterThanOrEqual(CUTS);
    expect(outOfLine).toEqual([]);
    expect(seen.errors).toEqual([]);
    // Every message was acked after exactly the failures it was meant to have.
    expect(good.filter((body) => [...done.get(body)!].join() !== String(failures(body)))).toEqual([]);
    const letters = await bystander.takeAll(dead);
    expect([...new Set(bodies(letters))].sort()).toEqual(messages.filter((body) => failures(body) === Infinity).sort());
    expect(
      new Set(letters.map(({ properties }) => properties.headers?.['x-instance-queue-attempts'] as unknown)),
    ).toEqual(new Set([ATTEMPTS]));
    // Everything has been handled: no message is left.
    expect(await bystander.takeAtLeast(queue, 0)).toEqual([]);
  },
  240_000,
);
