import { MemoryBroker, FakeInstanceQueue } from 'instance-queue/testing';
import { type ChannelError, ConnectionError, PublishError } from '../../../lib/errors';
import { channelRefused } from '../../../lib/transport/link-errors';
import { fixture } from '../../support/fixtures/fixture';
import { memoryBroker } from '../../support/laws/memory-broker';
import { partitionLaws } from '../../support/laws/partitions';
import { withoutWaiting } from '../../support/virtual-time';
import { rejection, until } from '../../support/waiting';

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

  it('is refused to a send as to any other: a PublishError with the refusal as its cause', async () => {
    const queue = new FakeInstanceQueue({ broker: new MemoryBroker() });
    const refusal = channelRefused('Cannot declare', new Error('403'), { replyCode: 403, text: 'ACCESS_REFUSED' });
    const declare = jest.spyOn(queue.admin, 'declare').mockRejectedValueOnce(refusal);
    const orders = queue.partitioned({ name: 'orders', partitions: 2 });
    const message = { key: 'a', body: 1, messageId: 'm' };
    const refused = await rejection(orders.send(message));
    expect(refused).toBeInstanceOf(PublishError);
    expect(refused).toMatchObject({ code: 'PUBLISH_REFUSED', messageId: 'm', replyCode: 403, cause: refusal });
    const closed = new ConnectionError('CONNECTION_CLOSED', 'host', 'It was closed.');
    declare.mockRejectedValueOnce(closed);
    expect(await rejection(orders.send(message))).toMatchObject({
      code: 'PUBLISH_CLOSED',
      messageId: 'm',
      cause: closed,
    });
    // The next one asks again.
    expect(await orders.send(message)).toMatchObject({ messageId: 'm' });
    await queue.close();
  });
});
