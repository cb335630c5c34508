import { InstanceQueue } from 'instance-queue';
import type { Cluster, ClusterNode } from '../../../compose/local-cluster';
import { delays, pause, type Lateness } from './random-delays';

export interface Raid {
  /** Messages per second. */
  readonly rate: number;
  /** ms after which a node hands a dead letter over again that was not confirmed. @default that of RabbitMQ, three minutes */
  readonly confirmTimeout?: number | undefined;
  readonly say: (line: string) => void;
}

/** Delays on a cluster, of which each node is killed once meanwhile, and started again. */
export async function overACluster(
  cluster: Cluster,
  given: readonly number[],
  { rate, confirmTimeout, say }: Raid,
): Promise<Lateness> {
  const url = [...cluster.urls];
  const queue = new InstanceQueue({ url, reconnect: { max: 500 }, reopen: { max: 500 } });
  const name = `delayed-${String(process.pid)}`;
  let struck = Promise.resolve();
  const configure = async (node: ClusterNode): Promise<void> => {
    if (confirmTimeout === undefined) return;
    const value = `dead_letter_worker_publisher_confirm_timeout, ${String(confirmTimeout)}`;
    await node.ctl('eval', `application:set_env(rabbit, ${value}).`);
  };
  try {
    await Promise.all(cluster.nodes.map(configure));
    await queue.admin.declare({ queues: [{ name, type: 'quorum' }] });
    const apart = (given.length / rate) * 1000 * 0.2;
    const strike = async (): Promise<void> => {
      for (const node of cluster.nodes) {
        await pause(apart);
        say(`killing ${node.name}`);
        await node.kill();
        await pause(2000);
        await node.start();
        await configure(node);
        say(`${node.name} is back`);
      }
    };
    const all = delays(queue, name, given, { rate, patience: 420_000 });
    struck = strike();
    const [lateness] = await Promise.all([all, struck]);
    return lateness;
  } finally {
    await struck.catch(() => undefined);
    await queue.close({ drainTimeout: 5000 });
  }
}
