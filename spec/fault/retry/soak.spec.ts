import { handle, type Message } from 'instance-queue';
import { bodies } from '../../support/brokers/messages';
import { proxiedFixture } from '../../support/fixtures/rabbitmq';
import { numbers } from '../../support/numbers';
import { eventually } from '../../support/waiting';

const given = proxiedFixture();

const COUNT = 10_000;
const CUTS = 10;
const ATTEMPTS = 4;

/** A tenth fails three times and then succeeds, a hundredth never succeeds. */
const failures = (body: number): number => (body % 100 === 7 ? Infinity : body % 10 === 3 ? 3 : 0);
/** How often the handler failed, by the message's own header: not counting deliveries that were lost. */
const failedRuns = ({ properties }: Message<unknown>): number =>
  Number(properties.headers?.['x-instance-queue-attempts'] ?? 0);

test.each(['classic', 'quorum'] as const)(
  'over ten lost connections every message of a %s queue is acked or moved with the right count, and none is lost',
  async (type) => {
    const { broker, bystander, newClient, proxy } = given;
    const queue = bystander.freeQueueName();
    const dead = await bystander.declareQueue();
    const wait = bystander.deletesQueue(`${queue}.retry.100`);
    const quick = { min: 10, max: 50 };
    const client = newClient({ reconnect: quick, reopen: quick });
    const done = new Map<number, Set<number>>();
    const miscounted: unknown[] = [];
    const work = (message: Message<number>): void => {
      const before = failedRuns(message);
      if (message.deliveryCount < before) miscounted.push(message.body);
      if (before < failures(message.body)) throw new Error(`failure ${String(before + 1)} of ${String(message.body)}`);
      done.set(message.body, (done.get(message.body) ?? new Set()).add(before));
    };
    const onError = client.retry<number>({ attempts: ATTEMPTS, delay: 100, then: { queue: dead } });
    const seen = { handled: 0, errors: [] as unknown[] };
    client
      .consume<number>({ queue: { name: queue, type }, prefetch: 200 })
      .pipe(handle(work, { onError }))
      .subscribe({
        next: ({ settlement }) => {
          seen.handled++;
          if (settlement === 'reject') seen.errors.push(settlement);
        },
        error: (error: unknown) => seen.errors.push(error),
      });
    await eventually(() => client.health.consumers[0]?.status === 'attached');
    const messages = numbers(COUNT);
    const put = (async () => {
      for (let at = 0; at < COUNT; at += 500) await bystander.put(queue, ...messages.slice(at, at + 500));
    })();
    for (let cuts = 1; cuts <= CUTS; cuts++) {
      const { handled } = seen;
      // Each cut comes in the middle of the work.
      await eventually(() => seen.handled > handled + 300, 60_000);
      proxy.cut();
    }
    await put;
    const good = messages.filter((body) => failures(body) !== Infinity);
    await eventually(() => good.every((body) => done.has(body)), 60_000);
    const lost = async (): Promise<number> => COUNT - good.length - (await bystander.count(dead)).ready;
    await eventually(async () => (await lost()) <= 0, 60_000);
    // Checked twice, because a copy may move from one queue to the other between the two.
    const empty = async (): Promise<boolean> => {
      const left = (await broker.queues()).filter(({ name }) => name === queue || name === wait);
      return left.every(({ messages }) => messages === 0) && client.metrics.inFlight === 0;
    };
    await eventually(async () => (await empty()) && (await empty()), 60_000);

    expect(client.metrics.reconnects).toBeGreaterThanOrEqual(CUTS);
    expect(miscounted).toEqual([]);
    expect(seen.errors).toEqual([]);
    // Each acked message has failed exactly as often as it was meant to.
    expect(good.filter((body) => [...done.get(body)!].join() !== String(failures(body)))).toEqual([]);
    const moved = await bystander.takeAll(dead);
    expect([...new Set(bodies(moved))].sort()).toEqual(messages.filter((body) => failures(body) === Infinity).sort());
    expect(
      new Set(moved.map(({ properties }) => properties.headers?.['x-instance-queue-attempts'] as unknown)),
    ).toEqual(new Set([ATTEMPTS]));
    // By now everything has been handled: the queue stays empty.
    expect(await bystander.takeAtLeast(queue, 0)).toEqual([]);
  },
  240_000,
);
