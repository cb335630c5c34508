import { handle, type InstanceQueue } from 'instance-queue';
import { FakeInstanceQueue, type Universe as Given } from 'instance-queue/testing';
import type { Fault } from '../../../lib/testing/simulation/faults';
import { MemoryQueue } from '../../../lib/testing/memory/queue';
import { SimulatedTransport } from '../../../lib/testing/simulation/simulated-transport';
import { Universe, type UniverseOptions } from '../../../lib/testing/simulation/universe';
import { World } from '../../../lib/testing/simulation/world';
import { rejection } from '../../support/waiting';

/** Runs an app in a universe of that seed, closes what it connected, and gives the universe as it is then. */
async function inUniverse(
  app: (universe: Given) => unknown,
  { seed = 1, ...options }: Partial<UniverseOptions> & { readonly seed?: number } = {},
): Promise<Universe> {
  const world = new World(seed);
  const universe = new Universe(world, seed, { faults: [], ...options });
  const main = async (): Promise<void> => {
    await app(universe);
    await universe.end();
  };
  expect(await world.run(main, 3_600_000)).toBeDefined();
  expect(world.uncaught).toEqual([]);
  return universe;
}

describe('the faults of a universe', () => {
  const faults: readonly Fault[] = [
    { at: 900, kind: 'cut', direction: 'toBroker', after: 0 },
    { at: 300, kind: 'alarm', ms: 400 },
  ];

  it('happen at their times, and so does what else is to happen; the timeline has them, and what the app notes', async () => {
    const begun: number[] = [];
    const blocked: (string | undefined)[] = [];
    let times: readonly number[] = [];
    const app = async (universe: Given): Promise<void> => {
      times = [universe.now, universe.faultsOver];
      const queue = universe.connect();
      await queue.connect();
      universe.note('connected');
      for (const at of [199, 399, 699, 799]) {
        await universe.sleep(at - universe.now);
        await Promise.race([queue.send({ queue: 'orders', body: at }), universe.sleep(50)]);
        blocked.push(queue.health.blocked);
      }
      universe.note('seen');
    };
    const visit = { at: 120, until: 1300, what: 'a visit', begin: () => void begun.push(performance.now()) };
    const { timeline, now } = await inUniverse(app, { faults, latency: { least: 1, most: 2 }, happenings: [visit] });
    expect(times).toEqual([0, 1300]);
    expect(begun.map(Math.floor)).toEqual([120]);
    expect(blocked).toEqual([undefined, 'low on memory', undefined, undefined]);
    expect(timeline.map((line) => line.replace(/\d+\.\d ms/, 'at'))).toEqual(
      [
        'connected',
        'fault: a visit',
        'fault: kind alarm, ms 400',
        'seen',
        'fault: kind cut, direction toBroker, after 0',
      ].map((what) => expect.stringMatching(new RegExp(`^ +at {2}${what}$`)) as string),
    );
    for (const line of timeline) expect(line.indexOf(' ms  ')).toBe(10);
    expect(timeline[2]).toMatch(/^ {5}300\.\d ms/);
    // The end waits for the last of them.
    expect(now).toBeGreaterThanOrEqual(1300);
  });

  it('are over at once where there are none', async () => {
    const { faultsOver, timeline, now } = await inUniverse(() => undefined);
    expect([faultsOver, timeline]).toEqual([0, []]);
    expect(now).toBeLessThan(1);
  });
});

describe('a universe', () => {
  it('sleeps as long as it is told, and draws the same numbers from the same seed', async () => {
    const drawn = async (seed: number): Promise<readonly number[]> => {
      const numbers: number[] = [];
      await inUniverse(
        async (universe) => {
          for (let i = 0; i < 20; i++) numbers.push(universe.random());
          await universe.sleep(70);
          expect(Math.floor(universe.now)).toBe(70);
        },
        { seed },
      );
      return numbers;
    };
    const numbers = await drawn(3);
    expect(await drawn(3)).toEqual(numbers);
    expect(await drawn(4)).not.toEqual(numbers);
    expect(new Set(numbers).size).toBe(20);
    for (const number of numbers) expect(number >= 0 && number < 1).toBe(true);
  });

  it('connects clients with the options that they are given, and closes all of them at its end', async () => {
    const clients: InstanceQueue[] = [];
    const app = async (universe: Given): Promise<void> => {
      for (const name of ['shop', 'store'])
        clients.push(universe.connect({ topology: { queues: [{ name, maxLength: 5 }] } }));
      await Promise.all(clients.map((client, i) => client.send({ queue: ['shop', 'store'][i] ?? '', body: i })));
      expect(universe.broker.queues).toMatchObject(
        ['shop', 'store'].map((name) => ({ name, arguments: { 'x-max-length': 5 } })),
      );
    };
    await inUniverse(app);
    const statuses = clients.map(({ state }) => [state.producer.status, state.consumer.status]);
    expect(statuses).toEqual([
      ['closed', 'closed'],
      ['closed', 'closed'],
    ]);
  });

  it('is made with a network, clients and a RabbitMQ of its own', async () => {
    const [asked, made]: [unknown[], InstanceQueue[]] = [[], []];
    const drawn: number[] = [];
    const options: Partial<UniverseOptions> = {
      network: (host, random, latency) => {
        drawn.push(random.next());
        asked.push(host.vhost.version, latency);
        return new SimulatedTransport(host, random, latency);
      },
      client: (given) => {
        asked.push(given);
        const client = new FakeInstanceQueue(given);
        made.push(client);
        return client;
      },
    };
    const connects = (universe: Given): void => {
      expect(universe.connect({ name: 'app' })).toBe(made.at(-1));
      drawn.push(universe.random());
    };
    await inUniverse(connects, { ...options, version: '3.13.0' });
    await inUniverse(connects, { ...options, latency: { least: 1, most: 2 } });
    await inUniverse(connects, { ...options, seed: 2 });
    expect(asked).toEqual([
      ...['3.13.0', { least: 0.2, most: 6 }, { name: 'app' }],
      ...['4.3.0', { least: 1, most: 2 }, { name: 'app' }],
      ...['4.3.0', { least: 0.2, most: 6 }, { name: 'app' }],
    ]);
    expect(made.map(({ state }) => state.producer.status)).toEqual(['closed', 'closed', 'closed']);
    // The network has chance of its own, from the same seed.
    expect(drawn.slice(2, 4)).toEqual(drawn.slice(0, 2));
    expect(new Set(drawn).size).toBe(4);
  });

  it('passes the messages of a filtered stream in chunks', async () => {
    const bodies: unknown[] = [];
    await inUniverse(async (universe) => {
      const queue = universe.connect();
      universe.broker.declare({ name: 'log', type: 'stream' });
      const values = ['a', 'b', 'b', 'b', 'b', 'b', 'b', 'b', 'a', 'b'];
      for (const [body, streamFilter] of values.entries()) universe.broker.put({ queue: 'log', body, streamFilter });
      const options = { queue: 'log', offset: 'first', arguments: { 'x-stream-filter': 'a' } } as const;
      queue.consume<number>(options).subscribe((delivery) => {
        bodies.push(delivery.body);
        delivery.ack();
      });
      await universe.calm();
    });
    expect(bodies).toEqual([0, 1, 2, 6, 7, 8]);
  });
});

describe('a universe is calm', () => {
  it('when the faults are over, all is sent, delivered and settled, and no sooner', async () => {
    const faults: readonly Fault[] = [{ at: 100, kind: 'alarm', ms: 1900 }];
    await inUniverse(
      async (universe) => {
        const queue = universe.connect();
        const done: unknown[] = [];
        const work = async (): Promise<void> => {
          await universe.sleep(3000);
          done.push(Math.round(universe.now / 1000));
        };
        queue.consume({ queue: 'orders' }).pipe(handle(work)).subscribe();
        await universe.sleep(200);
        void queue.send({ queue: 'orders', body: 1 }).then(() => done.push('sent'));
        await universe.calm();
        expect(done).toEqual(['sent', 5]);
        expect(universe.broker.queues).toMatchObject([{ messages: [], unsettled: 0, consumers: 1 }]);
        expect(universe.now).toBeLessThan(5600);
        // Faults that are over delay nothing.
        const began = universe.now;
        await universe.calm();
        expect(universe.now - began).toBeLessThan(260);
      },
      { faults },
    );
  });

  it.each<[string, (queue: InstanceQueue, universe: Given) => unknown, string]>([
    [
      'messages on their way',
      (queue, { broker }) => {
        broker.block();
        for (const body of [1, 2]) void queue.send({ queue: 'orders', body }).catch(() => undefined);
      },
      '2 messages are not confirmed',
    ],
    [
      'deliveries that are out',
      async (queue) => {
        queue.consume({ queue: 'orders' }).subscribe();
        for (const body of [1, 2, 3]) await queue.send({ queue: 'orders', body });
      },
      '3 deliveries are not settled',
    ],
    [
      'a consumer that does not attach',
      (queue, { broker }) => {
        broker.declare({ name: 'orders', exclusive: true });
        queue.consume({ queue: 'free' }).subscribe();
        queue.consume({ queue: 'orders' }).subscribe();
      },
      'the consumer of `orders` is not attached',
    ],
    [
      'messages that the broker still has for a consumer',
      (queue, { broker }) => {
        broker.declare({ name: 'orders', type: 'quorum' });
        broker.put({ queue: 'orders', body: 1 });
        const orders = broker.vhost.find('orders');
        if (orders instanceof MemoryQueue) orders.leaderless = true;
        queue.consume({ queue: 'orders' }).subscribe();
      },
      'messages of `orders`',
    ],
  ])('not with %s, which it says when it has waited long enough', async (_, begin, what) => {
    const faults: readonly Fault[] = [{ at: 700, kind: 'nacks', count: 0 }];
    await inUniverse(
      async (universe) => {
        await begin(universe.connect(), universe);
        const error = await rejection(universe.calm(1000));
        expect(error).toEqual(new Error(`Not calm 1000 ms after the last fault: ${what}.`));
        expect(universe.now).toBeGreaterThanOrEqual(1700);
        expect(universe.now).toBeLessThan(2000);
      },
      { faults },
    );
  });

  it('within two minutes, unless it is told otherwise', async () => {
    await inUniverse(async (universe) => {
      const queue = universe.connect();
      queue.consume({ queue: 'orders' }).subscribe();
      await queue.send({ queue: 'orders', body: 1 });
      const began = universe.now;
      await rejection(universe.calm());
      expect(Math.round((universe.now - began) / 1000)).toBe(120);
    });
  });
});
