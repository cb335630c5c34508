import type { Cluster, ClusterNode } from '../../../compose/local-cluster';
import { leaderOf, nodeOf, whole } from './places';
import type { Receiver, Traffic } from './traffic';

/** What trials act on. */
export interface Scene {
  readonly cluster: Cluster;
  readonly traffic: Traffic;
  /** The consuming instances. A trial may replace one. */
  readonly receivers: Receiver[];
}

/** One kind of fault. */
export interface Trial {
  readonly title: string;
  /** Performs repetition `time`, from 0. Returns the gap, ms; everything is restored then. */
  strike(scene: Scene, time: number): Promise<number>;
}

/** One fault. */
export interface Strike {
  readonly trial: Trial;
  readonly time: number;
}

/** Repeats the sequence of trials this many times. */
export function inTurns(times: number, ...trials: readonly Trial[]): Strike[] {
  return Array.from({ length: times }, (_, time) => trials.map((trial) => ({ trial, time }))).flat();
}

/** SIGKILL. The gap lasts from it to the next new message. Then the node is started again, and all catch up. */
async function killed({ cluster, traffic }: Scene, node: ClusterNode): Promise<number> {
  const since = performance.now();
  await node.kill();
  const gap = await traffic.ledger.gap(since);
  await back(cluster, node, traffic);
  return gap;
}

async function back(cluster: Cluster, node: ClusterNode, { spec }: Traffic): Promise<void> {
  await node.start();
  await whole(cluster, spec.name);
}

function nth({ nodes }: Cluster, time: number): ClusterNode {
  const node = nodes[time % nodes.length];
  if (!node) throw new Error('A cluster without nodes');
  return node;
}

export const NODE: Trial = {
  title: 'each node killed once',
  strike: (scene, time) => killed(scene, nth(scene.cluster, time)),
};

export const CONNECTION: Trial = {
  title: "a connection's node killed",
  strike(scene, time) {
    const { cluster, traffic, receivers } = scene;
    const receiver = time % 2 === 1 ? receivers[0] : undefined;
    return killed(
      scene,
      receiver ? nodeOf(cluster, receiver.queue, 'consumer') : nodeOf(cluster, traffic.sender, 'producer'),
    );
  },
};

export const LEADER: Trial = {
  title: "the leader's node killed",
  strike: async (scene) => killed(scene, await leaderOf(scene.cluster, scene.traffic.spec.name)),
};

/** A graceful stop. Messages flow at its beginning and its end, so the gap is the longest time without one in between. */
export const RESTART: Trial = {
  title: 'rolling restart of all nodes',
  async strike({ cluster, traffic }, time) {
    const node = nth(cluster, time);
    const began = performance.now();
    await node.ctl('shutdown');
    await back(cluster, node, traffic);
    return traffic.ledger.silence(began, performance.now());
  },
};
