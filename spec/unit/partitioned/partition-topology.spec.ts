import { OptionsError } from 'instance-queue';
import {
  partitionedTopology,
  type PartitionLayout,
  resizePartitions,
  withCount,
} from '../../../lib/partitioned/partition-topology';
import { checkConsume, checkPartitioned, type PartitionedOptions } from '../../../lib/partitioned/partitioned-options';
import { channelRefused } from '../../../lib/transport/link-errors';
import { inVirtualTime, later } from '../../support/virtual-time';
import { rejection } from '../../support/waiting';

inVirtualTime();

const LAYOUT: PartitionLayout = { name: 'orders', partitions: 2, queues: { maxLength: 10 } };

describe('what a partitioned queue is at the broker', () => {
  it('has an exchange for messages, one that bears the number of partitions, one for members, and a queue per partition', () => {
    const queue = { type: 'quorum', singleActiveConsumer: true, maxLength: 10 };
    expect(partitionedTopology(LAYOUT)).toEqual({
      exchanges: [
        { name: 'orders.of-2', type: 'fanout' },
        { name: 'orders', type: 'direct', alternateExchange: 'orders.of-2' },
        { name: 'orders.presence', type: 'fanout' },
      ],
      queues: [
        { ...queue, name: 'orders.0' },
        { ...queue, name: 'orders.1' },
      ],
      bindings: [
        { exchange: 'orders', queue: 'orders.0', routingKey: '0/2' },
        { exchange: 'orders', queue: 'orders.1', routingKey: '1/2' },
      ],
    });
  });
});

describe('the refusal of another number of partitions', () => {
  const inequivalent = (text: string, replyCode = 406) =>
    channelRefused('Cannot declare', new Error(text), { replyCode, text });
  const words = (argument: string, received: string, current: string) =>
    `PRECONDITION_FAILED - inequivalent arg '${argument}' for exchange 'orders' in vhost '/': received '${received}' but current is '${current}'`;

  it('names both numbers, and what to do', () => {
    const error = inequivalent(words('alternate-exchange', 'orders.of-2', 'orders.of-16'));
    const explained = withCount(error, LAYOUT);
    expect(explained).toBeInstanceOf(OptionsError);
    expect(explained).toMatchObject({
      option: 'partitions',
      cause: error,
      message:
        'Partitioned queue `orders` has 16 partitions, and `partitions` is 2 here. All services have to use the same number. To change it, stop them and call `resize()` on the drained queue.',
    });
  });

  it.each([
    ['another argument', inequivalent(words('type', 'orders.of-2', 'orders.of-16'))],
    ['another exchange', inequivalent(words('alternate-exchange', 'orders.of-2', 'dead'))],
    ['another reason', inequivalent(words('alternate-exchange', 'orders.of-2', 'orders.of-16'), 403)],
    ['no refusal', new Error(words('alternate-exchange', 'orders.of-2', 'orders.of-16'))],
  ])('is none for %s', (_what, error) => {
    expect(withCount(error, LAYOUT)).toBe(error);
  });
});

describe('options of a partitioned queue', () => {
  const right: PartitionedOptions = { name: 'orders', partitions: 2 };

  it.each<PartitionedOptions>([
    right,
    { ...right, name: 'ä'.repeat(100), partitions: 1 },
    { ...right, partitions: 1000, queues: { deliveryLimit: 3, deadLetter: { queue: 'dead' } } },
  ])('%j are right', (options) => {
    expect(() => {
      checkPartitioned(options);
    }).not.toThrow();
  });

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: 'amq.orders' }],
    ['name', { name: 'ä'.repeat(101) }],
    ['name', { name: 'or\nders' }],
    ['name', { name: undefined }],
    ['partitions', { partitions: 0 }],
    ['partitions', { partitions: 1001 }],
    ['partitions', { partitions: 1.5 }],
    ['partitions', { partitions: undefined }],
    ['queues', { queues: [] }],
    ['queues.name', { queues: { name: 'x' } }],
    ['queues.type', { queues: { type: 'classic' } }],
    ['queues.singleActiveConsumer', { queues: { singleActiveConsumer: false } }],
    ['queues.maxLength', { queues: { maxLength: -1 } }],
    ['codec', { codec: {} }],
    ['partition', { partition: 2 }],
  ])('refuse a wrong `%s`: %j', (option, wrong) => {
    const check = (): void => {
      checkPartitioned({ ...right, ...wrong });
    };
    expect(check).toThrow(OptionsError);
    expect(check).toThrow(expect.objectContaining({ option }) as Error);
  });

  it('of consuming are those of a consumer that make sense for many', () => {
    expect(() => {
      checkConsume({
        prefetch: 1,
        tagPrefix: 'a',
        checkAfter: 0,
        onUndecodable: 'requeue',
        consumerTimeout: 1,
        until: [],
      });
    }).not.toThrow();
    for (const wrong of [{ prefetch: 0 }, { consumerTimeout: 0 }, { until: 5 }, { queue: 'orders' }, { noAck: true }])
      expect(() => {
        checkConsume(wrong as never);
      }).toThrow(OptionsError);
  });
});

describe('another number of partitions', () => {
  /** An admin with the depths of queues, in turns: those of the next look follow once a queue was looked at in each. */
  function broker(depths: Readonly<Record<string, readonly (readonly [messages: number, consumers: number])[]>>) {
    const calls: unknown[] = [];
    const looks = new Map<string, number>();
    const inspect = (name: string) => {
      const all = depths[name];
      const look = looks.get(name) ?? 0;
      looks.set(name, look + 1);
      const [messages, consumers] = all?.[Math.min(look, all.length - 1)] ?? [0, 0];
      return Promise.resolve(all && { messages, consumers });
    };
    const admin = {
      inspect,
      declare: (topology: object) => Promise.resolve(void calls.push(['declare', topology])),
      delete: (target: object) => Promise.resolve(calls.push(['delete', target])),
    };
    const stopConsumers = () => Promise.resolve(calls.push('stopped'));
    return {
      admin,
      calls,
      resize: (to: number, timeout?: number) => resizePartitions(admin, LAYOUT, to, { timeout, stopConsumers }),
    };
  }
  const exchangesGone = ['orders.presence', 'orders', 'orders.of-2'].map((exchange) => ['delete', { exchange }]);

  it('deletes the exchanges, then the surplus queues, and declares the rest anew', async () => {
    const { calls, resize } = broker({ 'orders.0': [[0, 0]], 'orders.1': [[0, 0]] });
    await resize(1);
    expect(calls).toEqual([
      'stopped',
      ...exchangesGone,
      ['delete', { queue: 'orders.1' }],
      ['declare', partitionedTopology({ ...LAYOUT, partitions: 1 })],
    ]);
  });

  it('declares more queues, and deletes none', async () => {
    const { calls, resize } = broker({ 'orders.0': [[0, 0]] });
    await resize(3);
    expect(calls).toEqual([
      'stopped',
      ...exchangesGone,
      ['declare', partitionedTopology({ ...LAYOUT, partitions: 3 })],
    ]);
  });

  it('that is the same changes nothing', async () => {
    const { calls, resize } = broker({ 'orders.0': [[5, 1]] });
    await resize(2);
    expect(calls).toEqual([]);
  });

  it('waits for messages, then for consumers, which it stops in between', async () => {
    const { calls, resize } = broker({
      'orders.0': [
        [2, 1],
        [0, 1],
        [0, 1],
        [0, 0],
      ],
      'orders.1': [
        [1, 0],
        [0, 0],
      ],
    });
    const resized = resize(1);
    await later(99);
    expect(calls).toEqual([]);
    await later(1);
    expect(calls).toEqual(['stopped']);
    await later(200);
    await resized;
    expect(calls).toHaveLength(6);
  });

  it.each([
    ['messages', [[3, 1]], 'still holds 3 messages and has 1 consumers', []],
    ['consumers', [[0, 2]], 'still holds 0 messages and has 2 consumers', ['stopped']],
  ] as const)(
    'is given up within the timeout while there are %s, with everything as it was',
    async (_what, depth, words, done) => {
      const { calls, resize } = broker({ 'orders.0': depth });
      const failed = rejection(resize(1, 250));
      await later(250);
      expect(await failed).toMatchObject({ code: 'NOT_DRAINED', message: expect.stringContaining(words) as string });
      expect(calls).toEqual(done);
    },
  );

  it('takes 30 s by default', async () => {
    const { resize } = broker({ 'orders.0': [[1, 0]] });
    let over = false;
    const failed = rejection(resize(1)).then(() => (over = true));
    await later(29_800);
    expect(over).toBe(false);
    await later(200);
    await failed;
  });

  it.each([
    ['a message', [1, 0]],
    ['a consumer', [0, 1]],
  ] as const)('is undone when %s came at the last moment', async (_what, late) => {
    const { calls, resize } = broker({ 'orders.0': [[0, 0], [0, 0], late] });
    expect(await rejection(resize(1))).toMatchObject({ code: 'NOT_DRAINED' });
    expect(calls).toEqual(['stopped', ...exchangesGone, ['declare', partitionedTopology(LAYOUT)]]);
  });
});
