import { InstanceQueue } from 'instance-queue';
import type { Cluster } from '../../../compose/local-cluster';
import type { Extras } from '../../../compose/local-node';
import { delays, pause, type Lateness } from './random-delays';

/**
 * Extras of a cluster whose nodes hand a dead letter over again if it was not confirmed within `ms`, and not within three minutes. What
 * works on dead letters reads it when it starts, so that the nodes need it from their start on.
 */
export const confirmingWithin = (ms: number): Extras => ({
  advancedConfig: `[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, ${String(ms)}}]}].\n`,
});

export interface Raid {
  /** Messages per second. */
  readonly rate: number;
  /** ms for which the last messages may be late before they count as lost. */
  readonly patience: number;
  readonly say: (line: string) => void;
}

/** Delays on a cluster, of which each node is killed once meanwhile, and started again. */
export async function overACluster(
  cluster: Cluster,
  given: readonly number[],
  { rate, patience, say }: Raid,
): Promise<Lateness> {
  const url = [...cluster.urls];
  const queue = new InstanceQueue({ url, reconnect: { max: 500 }, reopen: { max: 500 } });
  const name = `delayed-${String(process.pid)}`;
  let struck = Promise.resolve();
  try {
    await queue.admin.declare({ queues: [{ name, type: 'quorum' }] });
    const apart = (given.length / rate) * 1000 * 0.2;
    const strike = async (): Promise<void> => {
      for (const node of cluster.nodes) {
        await pause(apart);
        say(`killing ${node.name}`);
        await node.kill();
        await pause(2000);
        await node.start();
        say(`${node.name} is back`);
      }
    };
    const all = delays(queue, name, given, { rate, patience });
    struck = strike();
    const [lateness] = await Promise.all([all, struck]);
    if (lateness.lost > 0) {
      say(`health: ${JSON.stringify(queue.health)}`);
      say(await cluster.nodes[0]!.ctl('list_queues', '--silent', 'name', 'leader', 'messages', 'consumers'));
    }
    return lateness;
  } finally {
    await struck.catch(() => undefined);
    await queue.close({ drainTimeout: 5000 });
  }
}
