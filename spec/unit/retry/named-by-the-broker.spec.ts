import { handle } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { collect } from '../../support/collect';
import { eventually, until } from '../../support/waiting';

test.each(['classic', 'quorum', 'queue'] as const)(
  'messages of a queue that the broker named wait in queues that go, although others stay: %s',
  async (waitIn) => {
    await using queue = new FakeInstanceQueue();
    const { broker } = queue;
    const consumer = queue.consumer({ queue: '' });
    const work = (): never => {
      throw new Error('not yet');
    };
    const onError = queue.retry({ attempts: 3, delay: 10, waitIn });
    const { values } = collect(consumer.deliveries$.pipe(handle(work, { onError })));
    for (const epoch of [1, 2, 3]) {
      const state = await until(consumer.state$, (one) => one.status === 'attached' && one.epoch === epoch);
      if (state.status === 'attached') broker.put({ queue: state.queue, body: epoch });
      await eventually(() => values.length === 3 * epoch);
      broker.disconnect();
      await until(consumer.state$, ({ status }) => status === 'detached');
      broker.reconnect();
    }
    const waiting = broker.queues.filter(({ name }) => name.includes('.retry.'));
    expect(waiting.length).toBeGreaterThan(0);
    for (const { arguments: args } of waiting)
      expect(args).toMatchObject({ 'x-expires': expect.any(Number) as number });
  },
);
