import type { FaultProxy } from 'instance-queue/testing';
import { eventually } from './waiting';

/**
 * Cuts every link, and lets nobody in before the broker has noticed: until then what was out to the old consumer is not
 * back in the queue, and a new one would be given what lies behind it.
 */
export async function cutUntil(proxy: FaultProxy, noticed: () => Promise<boolean>): Promise<void> {
  proxy.refuse();
  proxy.cut();
  await eventually(noticed);
  await proxy.restore();
}
