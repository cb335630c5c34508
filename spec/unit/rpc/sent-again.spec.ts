import { FakeInstanceQueue } from 'instance-queue/testing';
import { eventually, rejection } from '../../support/waiting';

test('a request that was confirmed once may have been worked on, also when its resend never leaves', async () => {
  await using queue = new FakeInstanceQueue({ drainTimeout: 0 });
  queue.broker.declare({ name: 'prices' });
  const asked = rejection(queue.request({ queue: 'prices', body: 1 }, { idempotent: true, timeout: 300 }));
  await eventually(() => queue.metrics.confirmed === 1);
  queue.broker.disconnect();
  expect(await asked).toMatchObject({ code: 'PUBLISH_TIMEOUT', maybeDelivered: true });
});
