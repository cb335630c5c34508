import { handle, type ErrorPolicy } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

it.each<[ErrorPolicy<unknown>, readonly object[]]>([
  ['reject', [{ deliveryCount: 0 }]],
  ['requeue-once', [{ deliveryCount: 1 }]],
  [() => 'ack', []],
])('a message that is rejected is logged, by names that quote nothing of it: %s', async (onError, expected) => {
  const lines: object[] = [];
  const queue = closing(
    new FakeInstanceQueue({
      logger: ({ level, message, fields }) => {
        if (level === 'warn') lines.push({ message, ...fields });
      },
    }),
  );
  const fails = (): never => {
    throw new RangeError('secret');
  };
  queue
    .consume({ queue: { name: 'orders', type: 'quorum' } })
    .pipe(handle(fails, { onError }))
    .subscribe();
  await queue.send({ queue: 'orders', body: 'secret', messageId: 'm1' });
  await later(10);
  const message = 'work failed: message rejected';
  const facts = { message, queue: 'orders', messageId: 'm1', error: 'RangeError' };
  expect(lines).toMatchObject(expected.map((more) => ({ ...facts, ...more })));
  expect(lines).toHaveLength(expected.length);
  expect(JSON.stringify(lines)).not.toContain('secret');
});
