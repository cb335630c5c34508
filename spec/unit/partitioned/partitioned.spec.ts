import { MemoryBroker, FakeInstanceQueue } from 'instance-queue/testing';
import type { ChannelError } from '../../../lib/errors';
import { channelRefused } from '../../../lib/transport/link-errors';
import { fixture } from '../../support/fixtures/fixture';
import { memoryBroker } from '../../support/laws/memory-broker';
import { partitionLaws } from '../../support/laws/partitions';
import { withoutWaiting } from '../../support/virtual-time';
import { until } from '../../support/waiting';

withoutWaiting();

// A RabbitMQ obeys the same laws: spec/integration/partitioned/partitioned.spec.ts
describe('a partitioned queue of the double', () => {
  partitionLaws(fixture(() => ({ broker: memoryBroker() })));
});

describe('declaring the partitions', () => {
  const crash = (): ChannelError =>
    channelRefused('Cannot declare the topology', new Error('541 INTERNAL_ERROR'), {
      replyCode: 541,
      text: 'INTERNAL_ERROR',
    });

  it('is done again when it crashed the broker, as two members that start together can', async () => {
    const broker = new MemoryBroker();
    const queue = new FakeInstanceQueue({ broker });
    const declare = jest.spyOn(queue.admin, 'declare').mockRejectedValueOnce(crash());
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    orders.consume().subscribe();
    await until(orders.assignment$, ({ length }) => length === 2);
    await orders.send({ key: 'a', body: 1 });
    expect(declare).toHaveBeenCalledTimes(2);
    await queue.close();
  });

  it('fails when it crashes the broker each time', async () => {
    const broker = new MemoryBroker();
    const queue = new FakeInstanceQueue({ broker });
    jest.spyOn(queue.admin, 'declare').mockImplementation(() => Promise.reject(crash()));
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    await expect(orders.send({ key: 'a', body: 1 })).rejects.toMatchObject({ replyCode: 541 });
    await queue.close();
  });
});
