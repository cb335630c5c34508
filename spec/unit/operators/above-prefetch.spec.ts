import { batch, handle } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { closing } from '../../support/closing';
import { inVirtualTime, later } from '../../support/virtual-time';

inVirtualTime();

/** A consumer with a prefetch of 3, and the warnings that its operators give. */
function given() {
  const warnings: unknown[] = [];
  const queue = closing(
    new FakeInstanceQueue({
      logger: ({ level, message, fields }) => {
        if (level === 'warn') warnings.push({ message, ...fields });
      },
    }),
  );
  queue.broker.declare({ name: 'orders' });
  queue.broker.put({ queue: 'orders', body: 1 });
  return { warnings, delivery$: queue.consume({ queue: 'orders', prefetch: 3 }) };
}

describe('more than the prefetch lets arrive', () => {
  it.each([
    [3, []],
    [4, ['batch size above prefetch is never reached: `within` applies']],
  ])('is warned of as the size of a batch: %i', async (size, expected) => {
    const { warnings, delivery$ } = given();
    delivery$.pipe(batch({ size, within: 10 })).subscribe((all) => all.ack());
    await later(20);
    expect(warnings).toMatchObject(expected.map((message) => ({ message, size, prefetch: 3 })));
  });

  it.each([
    [3, []],
    [4, ['concurrency above prefetch is never reached']],
  ])('is warned of as a concurrency: %i', async (concurrency, expected) => {
    const { warnings, delivery$ } = given();
    delivery$.pipe(handle(() => 'done', { concurrency })).subscribe();
    await later(20);
    expect(warnings).toMatchObject(expected.map((message) => ({ message, prefetch: 3 })));
  });
});
