import type { Cluster, ClusterNode } from '../../../compose/local-cluster';
import { leaderOf, nodeOf, whole } from './places';
import type { Receiver, Traffic } from './traffic';

/** What a trial has to do with. */
export interface Scene {
  readonly cluster: Cluster;
  readonly traffic: Traffic;
  /** Who consumes; a trial may put another in a place. */
  readonly receivers: Receiver[];
}

/** One kind of fault. */
export interface Trial {
  readonly title: string;
  /** For the `time`th time, from 0. Gives the gap, ms; behind it everything is as before. */
  strike(scene: Scene, time: number): Promise<number>;
}

/** One fault. */
export interface Strike {
  readonly trial: Trial;
  readonly time: number;
}

/** Each trial once, in this order, and all that so many times. */
export function inTurns(times: number, ...trials: readonly Trial[]): Strike[] {
  return Array.from({ length: times }, (_, time) => trials.map((trial) => ({ trial, time }))).flat();
}

/** SIGKILL; the gap is from it to the next new message. Then the node comes back, and all catch up. */
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

/** Graceful. Messages are let through at first and at last, so the gap is the longest silence in between. */
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
