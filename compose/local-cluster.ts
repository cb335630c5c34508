import { setTimeout as pause } from 'node:timers/promises';
import { askAmqp } from './amqp-answer';
import { ControlledBroker, type Broker } from './control';
import { localHost, newNode } from './local-broker';
import { newCookie, prepareNode, removeNodes, type Extras, type LocalNode } from './local-node';
import { freePort } from './ports';
import { postWarden } from './post-warden';

/** ms in which each node has to see all others once all answer. */
const TOGETHER_WITHIN = 30_000;
/** ms between two looks. */
const LOOK_EVERY = 100;

/** One node, with the levers of a broker but for the last: the cluster is ended as a whole. */
export interface ClusterNode extends Omit<Broker, 'stop'> {
  /** As Erlang knows it: `iq-abc@localhost`. */
  readonly name: string;
}

/** Private nodes on this machine that are one RabbitMQ. */
export interface Cluster {
  readonly nodes: readonly ClusterNode[];
  /** Of every node, with credentials. */
  readonly urls: readonly string[];
  /** For good: nothing is left of it. Can be called again. */
  stop(): Promise<void>;
}

/**
 * Brings nodes up that find each other: with a folder, ports and data of its own each, a common cookie and a common epmd.
 * Resolves once all answer and each sees all others. If the process that started them is killed, nothing is left of them.
 */
export async function startCluster(programs: string, extras: Extras = {}, size = 3): Promise<Cluster> {
  const epmdPort = await freePort();
  const nodes: LocalNode[] = [];
  for (let i = 0; i < size; i += 1) nodes.push(await newNode(programs, await freePort(), epmdPort));
  const warden = postWarden({ how: 'local', nodes });
  let removed: Promise<void> | undefined;
  const stop = (): Promise<void> => (removed ??= removeNodes(nodes).finally(() => warden.dismiss()));
  try {
    const membership = { cookie: newCookie(), peers: nodes.map(({ name }) => name) };
    for (const node of nodes) prepareNode(node, membership, extras);
    // Side by side: the first to get the lock founds the cluster, the others join it.
    const members = await Promise.all(nodes.map(bringUp));
    await Promise.all(members.map((member) => assertTogether(member, size)));
    return { nodes: members, urls: members.map(({ url }) => url), stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

async function bringUp(node: LocalNode): Promise<ClusterNode> {
  const url = `amqp://guest:guest@127.0.0.1:${node.port}/`;
  const host = localHost({ node, url });
  await host.start();
  const { version } = await askAmqp(url);
  return Object.assign(new ControlledBroker({ how: 'local', url, version, node }, host), { name: node.name });
}

/**
 * Waits until a node sees all others. A node that found none of them starts a cluster of its own, and answers clients all the same. One that
 * joined may answer clients a moment before the others count it as running.
 */
async function assertTogether(node: ClusterNode, size: number): Promise<void> {
  const deadline = performance.now() + TOGETHER_WITHIN;
  for (;;) {
    const seen = Number(await node.ctl('eval', 'length(rabbit_nodes:all_running()).'));
    if (seen === size) return;
    if (performance.now() > deadline)
      throw new Error(`Expected node ${node.name} to see ${size} running nodes, itself included, but it sees ${seen}`);
    await pause(LOOK_EVERY);
  }
}
