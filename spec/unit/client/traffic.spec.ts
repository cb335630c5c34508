import type { Delivery, PublishErrorCode } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { checkObserved, lowCardinality, observeTraffic, type SentMessage } from '../../../lib/client/traffic';
import { closing } from '../../support/closing';
import { outcomes } from '../../support/publish-error';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

function observed() {
  const queue = closing(new FakeInstanceQueue({ drainTimeout: 0 }));
  queue.broker.declare({ name: 'orders' });
  const sent: SentMessage[] = [];
  const seen: unknown[] = [];
  const stop = observeTraffic(queue, {
    sent: (message) => void sent.push(message),
    delivered: ({ body }) => void seen.push(`delivered ${String(body)}`),
    settled: ({ body }, settlement, seconds) => void seen.push([`${settlement} ${String(body)}`, seconds]),
  });
  return { queue, broker: queue.broker, sent, seen, stop };
}

describe('the observer of the messages of an InstanceQueue', () => {
  it('learns of each send: its route, whether it was attempted, and in how many seconds', async () => {
    const { queue, broker, sent } = observed();
    await Promise.all([later(), queue.send({ queue: 'orders', body: 1 })]);
    broker.hold();
    const late = outcomes([queue.send({ exchange: 'amq.topic', routingKey: 'k', body: 2 }, { timeout: 1500 })]);
    await later(1500);
    expect(await late).toEqual(['PUBLISH_TIMEOUT']);
    expect(sent).toEqual([
      {
        exchange: '',
        routingKey: 'orders',
        failure: undefined,
        attempted: true,
        seconds: expect.any(Number) as number,
      },
      {
        exchange: 'amq.topic',
        routingKey: 'k',
        failure: 'PUBLISH_TIMEOUT',
        attempted: true,
        seconds: expect.closeTo(1.5, 2) as number,
      },
    ]);
    expect(sent[0]!.seconds).toBeLessThan(0.1);
    broker.release();
  });

  it.each<[PublishErrorCode, boolean, (given: ReturnType<typeof observed>) => Promise<unknown>]>([
    ['PUBLISH_RETURNED', true, ({ queue }) => queue.send({ exchange: 'amq.topic', routingKey: 'lost', body: 1 })],
    ['PUBLISH_REFUSED', true, ({ queue }) => queue.send({ exchange: 'nowhere', body: 1 })],
    [
      'PUBLISH_NACKED',
      true,
      ({ broker, queue }) => {
        broker.nackNext();
        return queue.producer({ onNack: 'reject' }).send({ queue: 'orders', body: 1 });
      },
    ],
    ['PUBLISH_INVALID', false, ({ queue }) => queue.send({ queue: 'orders', body: 1n })],
    [
      'PUBLISH_TIMEOUT',
      false,
      ({ broker, queue }) => {
        broker.disconnect();
        return queue.send({ queue: 'orders', body: 1 }, { timeout: 100 });
      },
    ],
  ])('learns of a failure by its code: %s; attempted: %s', async (failure, attempted, send) => {
    const given = observed();
    const done = outcomes([send(given)]);
    await later(1000);
    expect(await done).toEqual([failure]);
    expect(given.sent).toMatchObject([{ failure, attempted }]);
  });

  it('learns of each delivery, and how it was settled, with the seconds since then', async () => {
    const { queue, broker, seen } = observed();
    const held: Delivery<unknown>[] = [];
    for (const body of ['a', 'b', 'c']) broker.put({ queue: 'orders', body });
    queue.consume({ queue: 'orders' }).subscribe((delivery) => held.push(delivery));
    await later();
    expect(seen).toEqual(['delivered a', 'delivered b', 'delivered c']);
    seen.length = 0;
    held[0]!.ack();
    await later(2000);
    held[1]!.reject();
    broker.disconnect();
    await later();
    expect(seen).toEqual([
      ['ack a', expect.closeTo(0, 1)],
      ['reject b', expect.closeTo(2, 1)],
      ['lost c', expect.closeTo(2, 1)],
    ]);
  });

  it('learns of what a consumer with `noAck` gets, which nothing settles', async () => {
    const { queue, broker, seen } = observed();
    broker.put({ queue: 'orders', body: 'a' });
    queue.consume({ queue: 'orders', noAck: true }).subscribe();
    await later();
    expect(seen).toEqual(['delivered a']);
  });

  it('learns nothing of other InstanceQueues, nor after it was stopped', async () => {
    const { queue, broker, sent, seen, stop } = observed();
    const other = closing(new FakeInstanceQueue({ broker }));
    other.consume({ queue: 'orders' }).subscribe((delivery) => delivery.ack());
    await Promise.all([later(), other.send({ queue: 'orders', body: 1 })]);
    expect([sent, seen]).toEqual([[], []]);
    stop();
    await Promise.all([later(), queue.send({ queue: 'orders', body: 1 })]);
    expect([sent, seen]).toEqual([[], []]);
  });

  it('is not asked of anything but an InstanceQueue', () => {
    expect(() => {
      checkObserved(observed().queue);
    }).not.toThrow();
    for (const wrong of [undefined, null, {}, { uses: true }, 'queue']) {
      expect(() => {
        checkObserved(wrong);
      }).toThrow(/^Expected `queue` to be an InstanceQueue, got /);
    }
  });
});

test.each([
  ['amq.gen-abc', 'amq.gen-*'],
  ['amq.rabbitmq.reply-to.xyz', 'amq.rabbitmq.reply-to.*'],
  ['amq.gen-', 'amq.gen-'],
  ['orders', 'orders'],
  ['my.amq.gen-abc', 'my.amq.gen-abc'],
  ['amq.topic', 'amq.topic'],
])('metrics have one series for all queues like %s: %s', (queue, series) => {
  expect(lowCardinality(queue)).toBe(series);
});
