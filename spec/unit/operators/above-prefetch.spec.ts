import { batch, handle } from 'instance-queue';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { BehaviorSubject } from 'rxjs';
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
  return { warnings, queue, delivery$: queue.consume({ queue: 'orders', prefetch: 3 }) };
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

  it('is warned of once, and again when a concurrency that changes is above it', async () => {
    const { warnings, delivery$, queue } = given();
    const concurrency = new BehaviorSubject(4);
    delivery$.pipe(handle(() => 'done', { concurrency })).subscribe();
    queue.broker.put({ queue: 'orders', body: 2 });
    await later(20);
    const warned = (...numbers: number[]): object[] => numbers.map((number) => ({ concurrency: number, prefetch: 3 }));
    expect(warnings).toMatchObject(warned(4));
    for (const limit of [3, 5, Infinity]) concurrency.next(limit);
    expect(warnings).toMatchObject(warned(4, 5));
    expect(warnings).toHaveLength(2);
  });
});
