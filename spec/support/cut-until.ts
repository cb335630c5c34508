import type { FaultProxy } from 'instance-queue/testing';
import { eventually } from './waiting';

/**
 * Cuts every link, and refuses new ones until the broker has noticed. Before that, the unacked deliveries of the old
 * consumer are not back in the queue, and a new consumer would get later messages first.
 */
export async function cutUntil(proxy: FaultProxy, noticed: () => Promise<boolean>): Promise<void> {
  proxy.refuse();
  proxy.cut();
  await eventually(noticed);
  await proxy.restore();
}
