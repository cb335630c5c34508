import type { InstanceQueue, Role } from 'instance-queue';
import type { Cluster, ClusterNode } from '../../../compose/local-cluster';
import { eventually } from '../../support/waiting';

/** ms for a node to be a full member again. */
const REJOIN = 60_000;

interface Roll {
  readonly running: number;
  readonly queues: readonly { readonly name: string; readonly leader: string; readonly online: number }[];
}

const ROLL =
  '#{running => length(rabbit_nodes:all_running()), queues => [#{name => element(4, Name), leader => Leader, online => length(Online)} || ' +
  '[{name, Name}, {leader, Leader}, {online, Online}] <- rabbit_amqqueue:info_all(<<"/">>, [name, leader, online])]}.';

async function roll([asked]: readonly ClusterNode[]): Promise<Roll> {
  if (!asked) throw new Error('A cluster without nodes');
  const said = await asked.ctl('eval', ROLL, '--formatter', 'json');
  return (JSON.parse(said) as { value: Roll }).value;
}

/** Resolves when all nodes run and every member of the queue is there, as one of the nodes sees it. */
export async function whole({ nodes }: Cluster, queue: string): Promise<void> {
  const { length } = nodes;
  await eventually(async () => {
    const { running, queues } = await roll(nodes);
    return running === length && queues.some(({ name, online }) => name === queue && online === length);
  }, REJOIN);
}

/** The node that leads the queue. */
export function leaderOf({ nodes }: Cluster, queue: string): Promise<ClusterNode> {
  return eventually(async () => {
    const { queues } = await roll(nodes);
    const leader = queues.find(({ name }) => name === queue)?.leader;
    return nodes.find(({ name }) => name === leader);
  }, REJOIN);
}

/** The node that a connection is on. */
export function nodeOf({ nodes }: Cluster, { state }: InstanceQueue, role: Role): ClusterNode {
  const connection = state[role];
  const endpoint = connection.status === 'connected' ? connection.endpoint : connection.status;
  const node = nodes.find(({ url }) => new URL(url).host === endpoint.split('/')[0]);
  if (!node) throw new Error(`The ${role}'s connection is on no node: ${endpoint}`);
  return node;
}
