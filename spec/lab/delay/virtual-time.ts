import { withGlobal } from '@sinonjs/fake-timers';
import { FakeInstanceQueue } from 'instance-queue/testing';
import { DelayLedger, type Lateness } from './random-delays';

/** ms of virtual time between two messages. */
const APART = 10;

/** The delays on the broker in memory, while only virtual time passes. */
export async function virtually(given: readonly number[], delayIn: 'quorum' | 'classic'): Promise<Lateness> {
  const clock = withGlobal(globalThis).install({ toNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  try {
    const queue = new FakeInstanceQueue({ producer: { delayIn } });
    const ledger = new DelayLedger();
    ledger.receive(queue, 'delayed', (error) => {
      throw error;
    });
    for (const delay of given) {
      const sent = ledger.send(queue, 'delayed', delay);
      await clock.tickAsync(APART);
      await sent;
    }
    for (let left = Math.max(...given) + 10_000; left > 0; left -= 1000) await clock.tickAsync(1000);
    const closed = queue.close({ drainTimeout: 0 });
    await clock.tickAsync(10_000);
    await closed;
    return ledger.lateness;
  } finally {
    clock.uninstall();
  }
}
