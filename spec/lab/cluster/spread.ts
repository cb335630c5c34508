import { Connection } from 'instance-queue';
import type { Cluster } from '../../../compose/local-cluster';

/** Connects this many clients that know all nodes. Returns the number on each node, in order. */
export async function spread({ urls }: Cluster, clients: number): Promise<number[]> {
  const connections = Array.from({ length: clients }, () => new Connection({ url: urls }));
  try {
    await Promise.all(connections.map((connection) => connection.connect()));
    const hosts = connections.map(({ state }) =>
      state.status === 'connected' ? state.endpoint.split('/')[0] : state.status,
    );
    return urls.map((url) => hosts.filter((host) => host === new URL(url).host).length);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
}
