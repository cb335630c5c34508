import type { Cluster } from '../../../compose/local-cluster';
import { campaign, type Row } from './campaign';
import { instance } from './single-active';
import { Traffic, receiver } from './traffic';
import type { Strike } from './trials';

/** Strikes while one instance receives. */
export function oneReceiver(
  cluster: Cluster,
  strikes: readonly Strike[],
  say?: (line: string) => void,
): Promise<Row[]> {
  const traffic = new Traffic(cluster.urls, { name: 'orders' });
  const receivers = [receiver('receiver', cluster.urls, traffic.spec, traffic.ledger)];
  return campaign({ cluster, traffic, receivers }, strikes, say);
}

/** Strikes while two instances are connected, of which the broker lets one receive. */
export async function singleActive(
  cluster: Cluster,
  strikes: readonly Strike[],
  say?: (line: string) => void,
): Promise<Row[]> {
  const traffic = new Traffic(cluster.urls, { name: 'single', singleActiveConsumer: true });
  const receivers = [await instance('first', cluster.urls, traffic), await instance('second', cluster.urls, traffic)];
  const rows = await campaign({ cluster, traffic, receivers }, strikes, say);
  return rows.map((row) => ({ ...row, title: `single active: ${row.title}` }));
}
